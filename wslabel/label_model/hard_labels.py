"""Turn soft labels into hard ones, alike for the label model and for the majority vote.

Shape legend: N images, K classes.
"""

import numpy as np
from numpy.typing import NDArray

from wslabel.schema import ABSTAIN

TIE_TOLERANCE = 1e-5
"""Closer probabilities are a tie: the tolerance of Snorkel's `probs_to_preds`."""


def hard(probs_NK: NDArray[np.float64]) -> NDArray[np.int16]:
    """Take the likeliest class of each image; ABSTAIN for a tie and for a row of NaN.

    Equals Snorkel's `predict(..., tie_break_policy="abstain")` on every image with a vote.

    >>> hard(np.array([[0.9, 0.1], [0.5, 0.5], [np.nan, np.nan]])).tolist()
    [0, -1, -1]
    """
    top_N = probs_NK.max(axis=1)
    num_top_N = (np.abs(probs_NK - top_N[:, None]) < TIE_TOLERANCE).sum(axis=1)
    return np.where(num_top_N == 1, probs_NK.argmax(axis=1), ABSTAIN).astype(np.int16)
