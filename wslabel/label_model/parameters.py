"""What the label model learnt, and how it labels images: numpy alone, so workers need no torch.

Shape legend: N images, M labeling functions, K classes, P patterns, D = M * K indicators.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wslabel.label_model.patterns import compress
from wslabel.schema import ABSTAIN

SMALLEST_LOG = -700.0
"""Below it exp() is about to leave the range of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Snorkel's learnt parameters.

    Attributes:
        mu: D x K, P(labeling function m votes k | the class is y) in row m * K + k, column y.
        class_balance: P(the class is y).
        weights_M: accuracy of each labeling function where it votes; NaN if it never votes.
    """

    mu: NDArray[np.float32]
    class_balance: NDArray[np.float64]
    weights_M: NDArray[np.float64]

    def probabilities(self, votes_NM: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Give the probability of each class for each image, as Snorkel's `predict_proba` does.

        An image without any vote gets a row of NaN; Snorkel would answer with the class balance,
        which says nothing about the image.
        """
        patterns = compress(votes_NM, len(self.class_balance))
        probs_PK = _probabilities(self, patterns.votes_PM)
        probs_PK[(patterns.votes_PM == ABSTAIN).all(axis=1)] = np.nan
        return probs_PK[patterns.pattern_N]

    def accuracies(self) -> NDArray[np.float64]:
        """Give the learnt accuracy of each labeling function where it votes."""
        return self.weights_M

    def evidence(self, votes_M: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Give the log-odds that each vote adds to the likeliest class against the next one.

        With the log-odds of the class balance they add up to those of the label's probability.
        """
        logs_MVK = _logs_of_votes(self)
        logs_MK = logs_MVK[np.arange(len(votes_M)), votes_M.astype(np.int64) - ABSTAIN]
        order = np.argsort(logs_MK.sum(axis=0) + np.log(self.class_balance))
        added_M: NDArray[np.float64] = logs_MK[:, order[-1]] - logs_MK[:, order[-2]]
        return added_M

    def to_json(self) -> str:
        """Write every number with all its digits; a NaN is a null."""
        fields = {
            "mu": self.mu.tolist(),
            "class_balance": self.class_balance.tolist(),
            "weights": [None if np.isnan(w) else w for w in self.weights_M.tolist()],
        }
        return json.dumps(fields, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> "Parameters":
        """Read back exactly what `to_json` wrote.

        Raises:
            ValueError: It did not write this.
        """
        fields = json.loads(text)
        read = Parameters(
            mu=np.array(fields["mu"], np.float32),
            class_balance=np.array(fields["class_balance"], np.float64),
            weights_M=np.array(fields["weights"], np.float64),
        )
        (num_classes,), (num_functions,) = read.class_balance.shape, read.weights_M.shape
        if read.mu.shape != (num_functions * num_classes, num_classes):
            raise ValueError(f"{read.mu.shape} numbers of {num_functions} labeling functions")
        return read


def _probabilities(
    parameters: Parameters, votes_PM: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    # Naive Bayes over the votes cast: P(y) * prod_m P(vote_m | y); an abstention says nothing.
    logs_MVK = _logs_of_votes(parameters)
    assert votes_PM.shape[1] == len(logs_MVK), "the model was fitted on other labeling functions"
    logs_PK = np.zeros((len(votes_PM), len(parameters.class_balance)))
    for logs_VK, votes_P in zip(logs_MVK, votes_PM.T, strict=True):
        logs_PK += logs_VK[votes_P.astype(np.int64) - ABSTAIN]
    logs_PK += np.log(parameters.class_balance)
    # Where all classes would underflow Snorkel divides 0 by 0; shifting leaves the ratios alone.
    top_P = logs_PK.max(axis=1, keepdims=True)
    joint_PK = np.exp(np.where(top_P < SMALLEST_LOG, logs_PK - top_P, logs_PK))
    normal_PK: NDArray[np.float64] = joint_PK / joint_PK.sum(axis=1, keepdims=True)
    return normal_PK


def _logs_of_votes(parameters: Parameters) -> NDArray[np.float64]:
    num_classes = len(parameters.class_balance)
    # Snorkel takes this logarithm in float32 and adds up in float64.
    logs_MKK = np.log(parameters.mu).reshape(-1, num_classes, num_classes)
    return np.pad(logs_MKK.astype(np.float64), ((0, 0), (1, 0), (0, 0)))
