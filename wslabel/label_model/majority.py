"""The baseline beside the label model: every labeling function has one equal vote.

Shape legend: N images, M labeling functions, K classes, P patterns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wslabel.label_model.patterns import compress
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
