"""Uncertainty of one set of probabilities: least confidence, margin, entropy (Settles 2009).

Shape legend: N images, K classes.
"""

from typing import Literal

import numpy as np

from wslabel.active.acquisition import AcquisitionConfig


class LeastConfidenceConfig(AcquisitionConfig):
    """One minus the probability of the likeliest class.

    Attributes:
        kind: least_confidence.
    """

    kind: Literal["least_confidence"]

    def scores(self, probs_NK: np.ndarray) -> np.ndarray:
        """Score images.

        >>> LeastConfidenceConfig(kind="least_confidence").scores(np.array([[0.75, 0.25]])).tolist()
        [0.25]
        """
        return np.asarray(1.0 - probs_NK.max(axis=1))


class MarginConfig(AcquisitionConfig):
    """One minus the lead of the likeliest class over the next one.

    Attributes:
        kind: margin.
    """

    kind: Literal["margin"]

    def scores(self, probs_NK: np.ndarray) -> np.ndarray:
        """Score images.

        >>> MarginConfig(kind="margin").scores(np.array([[0.5, 0.25, 0.25]])).tolist()
        [0.75]
        """
        ranked_NK = np.sort(probs_NK, axis=1)
        return np.asarray(1.0 - (ranked_NK[:, -1] - ranked_NK[:, -2]))


class EntropyConfig(AcquisitionConfig):
    """Entropy of the probabilities, in nats.

    Attributes:
        kind: entropy.
    """

    kind: Literal["entropy"]

    def scores(self, probs_NK: np.ndarray) -> np.ndarray:
        """Score images; a class of probability 0 adds nothing.

        >>> EntropyConfig(kind="entropy").scores(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
        [0.6931471805599453, 0.0]
        """
        positive_NK = np.where(probs_NK > 0, probs_NK, 1.0)
        entropy_N = -(probs_NK * np.log(positive_NK)).sum(axis=1)
        return np.asarray(entropy_N + 0.0)
