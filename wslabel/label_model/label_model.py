"""What every kind of label model is: settings that are fitted on counts of votes.

A kind is one file: a settings class (`LabelModelConfig`), what fitting gives (`FittedLabelModel`),
and a line in `registry.py`. Fitting sees a summary of the votes of the train split, never truth.

Shape legend: N images, M labeling functions, K classes.
"""

from abc import abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wslabel.config.base import Settings
from wslabel.label_model.summary import Summary


class FittedLabelModel(Protocol):
    """A label model that can label images; picklable, and light enough for every worker."""

    def probabilities(self, votes_NM: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Give the probability of each class for each image; a row of NaN without any vote."""
        ...

    def accuracies(self) -> NDArray[np.float64] | None:
        """Give its estimate of each labeling function's accuracy; None where it makes none."""
        ...

    def evidence(self, votes_M: NDArray[np.integer[Any]]) -> NDArray[np.float64] | None:
        """Give what each vote adds to the label, in log-odds; None where it weighs no votes."""
        ...

    def to_json(self) -> str:
        """Write all that `restore` needs."""
        ...


class LabelModelConfig(Settings):
    """The settings of a label model; the majority vote is always stored beside it.

    Attributes:
        kind: Kind of the label model.
    """

    kind: str

    def check(self, num_functions: int, num_classes: int) -> None:
        """Refuse what does not fit the project."""

    def unfitted(self, num_classes: int) -> FittedLabelModel | None:
        """Give the model of a kind that learns nothing; None where it must be fitted first."""
        return None

    @abstractmethod
    def fit(self, summary: Summary, num_classes: int) -> FittedLabelModel:
        """Fit it on the votes of the train split."""

    @abstractmethod
    def restore(self, text: str) -> FittedLabelModel:
        """Read back what `to_json` of a fitted one wrote."""
