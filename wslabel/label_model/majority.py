"""The baseline beside the label model: every labeling function has one equal vote.

Shape legend: N images, M labeling functions, K classes, P patterns.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wslabel.label_model.label_model import FittedLabelModel, LabelModelConfig
from wslabel.label_model.patterns import compress
from wslabel.label_model.summary import Summary
from wslabel.schema import ABSTAIN


def apply(votes_NM: NDArray[np.integer[Any]], num_classes: int) -> NDArray[np.float64]:
    """Share one among the classes with the most votes; a row of NaN for an image without votes.

    Equals Snorkel's `MajorityLabelVoter.predict_proba` on every image with a vote.

    >>> apply(np.array([[0, 0, 1], [0, 1, -1], [-1, -1, -1]]), 2).tolist()
    [[1.0, 0.0], [0.5, 0.5], [nan, nan]]
    """
    patterns = compress(votes_NM, num_classes)
    votes_PK = np.stack(
        [(patterns.votes_PM == label).sum(axis=1) for label in range(num_classes)], axis=1
    )
    top_PK = votes_PK == votes_PK.max(axis=1, keepdims=True)
    probs_PK: NDArray[np.float64] = top_PK / top_PK.sum(axis=1, keepdims=True)
    probs_PK[(patterns.votes_PM == ABSTAIN).all(axis=1)] = np.nan
    return probs_PK[patterns.pattern_N]


@dataclass(frozen=True)
class MajorityVote:
    """The majority vote as a label model.

    Attributes:
        num_classes: Classes that are voted for.
    """

    num_classes: int

    def probabilities(self, votes_NM: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Share one among the classes with the most votes."""
        return apply(votes_NM, self.num_classes)

    def accuracies(self) -> None:
        """It makes no estimate."""

    def evidence(self, votes_M: NDArray[np.integer[Any]]) -> None:
        """It weighs no votes."""

    def to_json(self) -> str:
        """Write the number of classes."""
        return json.dumps({"num_classes": self.num_classes})


class MajorityConfig(LabelModelConfig):
    """The majority vote as the label model; it learns nothing.

    It takes the keys of snorkel too and reads none of them, so that one can change the kind alone.

    Attributes:
        kind: majority.
        epochs: Not read.
        learning_rate: Not read.
        l2: Not read.
        optimizer: Not read.
        seed: Not read.
        class_balance: Not read.
    """

    kind: Literal["majority"]
    epochs: int = 500
    learning_rate: float = 0.01
    l2: float = 0.0
    optimizer: Literal["sgd", "adam", "adamax"] = "sgd"
    seed: int = 123
    class_balance: list[float] | None = None

    def unfitted(self, num_classes: int) -> FittedLabelModel:
        """Give the majority vote, which learns nothing."""
        return MajorityVote(num_classes)

    def fit(self, summary: Summary, num_classes: int) -> FittedLabelModel:
        """Take the votes as they are."""
        return MajorityVote(num_classes)

    def restore(self, text: str) -> FittedLabelModel:
        """Read the number of classes."""
        return MajorityVote(json.loads(text)["num_classes"])
