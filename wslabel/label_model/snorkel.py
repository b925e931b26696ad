"""Snorkel's label model (Ratner et al. 2019), fitted on a summary of the votes."""

import math
from typing import Literal

from pydantic import Field, field_validator

from wslabel.config.base import refuse
from wslabel.failpoints import reach
from wslabel.label_model.label_model import FittedLabelModel, LabelModelConfig
from wslabel.label_model.parameters import Parameters
from wslabel.label_model.summary import Summary

FEWEST_FUNCTIONS = 3
"""Two labeling functions do not identify their accuracies; Snorkel refuses them."""


class SnorkelConfig(LabelModelConfig):
    """Snorkel's label model: labeling functions are weighed by how often they agree.

    Attributes:
        kind: snorkel.
        epochs: Steps of the optimization.
        learning_rate: Size of a step.
        l2: Weight of the squared distance to the starting values.
        optimizer: sgd, adam or adamax.
        seed: Seed of the starting values.
        class_balance: Share of each class among all images, in the order of `classes`; null for
            equal shares.
    """

    kind: Literal["snorkel"] = "snorkel"
    epochs: int = Field(500, ge=1)
    learning_rate: float = Field(0.01, gt=0.0)
    l2: float = Field(0.0, ge=0.0)
    optimizer: Literal["sgd", "adam", "adamax"] = "sgd"
    seed: int = 123
    class_balance: list[float] | None = None

    @field_validator("class_balance")
    @classmethod
    def _is_distribution(cls, value: list[float] | None) -> list[float] | None:
        if value is None or (min(value, default=0.0) > 0.0 and math.isclose(sum(value), 1.0)):
            return value
        raise refuse(f"expected shares above 0 that add up to 1, found {value}")

    def check(self, num_functions: int, num_classes: int) -> None:
        """Refuse too few labeling functions and a balance of other classes."""
        if 0 < num_functions < FEWEST_FUNCTIONS:
            raise refuse(
                f"label_model: snorkel needs at least {FEWEST_FUNCTIONS} labeling functions, found "
                f"{num_functions}; add some or use kind: majority"
            )
        balance = self.class_balance
        if balance is not None and len(balance) != num_classes:
            raise refuse(
                f"label_model.class_balance: expected {num_classes} numbers, found {len(balance)}"
            )

    def fit(self, summary: Summary, num_classes: int) -> FittedLabelModel:
        """Fit it; the parameters are bit-equal to a fit on all the votes."""
        reach("fit")
        from wslabel.label_model import snorkel_fit  # noqa: PLC0415 - loads torch and Snorkel

        return snorkel_fit.fit(
            summary,
            num_classes=num_classes,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            l2=self.l2,
            optimizer=self.optimizer,
            seed=self.seed,
            class_balance=self.class_balance,
        )

    def restore(self, text: str) -> FittedLabelModel:
        """Read the parameters back."""
        return Parameters.from_json(text)
