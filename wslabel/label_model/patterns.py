"""Compress votes: many images, few distinct rows of votes, each with its count.

Shape legend: N images, M labeling functions, P distinct patterns.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wslabel.schema import ABSTAIN

LARGEST_KEY = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The distinct rows of votes, how often each occurs, and which one each image has."""

    votes_PM: NDArray[np.integer[Any]]
    counts_P: NDArray[np.int64]
    pattern_N: NDArray[np.int64]


def compress(votes_NM: NDArray[np.integer[Any]], num_classes: int) -> Patterns:
    """Find the patterns of votes; `votes_PM[pattern_N]` gives the votes back.

    >>> compress(np.array([[0, -1], [1, 1], [0, -1]]), 2).counts_P.tolist()
    [2, 1]
    """
    assert votes_NM.ndim == 2, f"votes are a matrix, found {votes_NM.ndim} dimensions"
    if votes_NM.size:
        assert votes_NM.min() >= ABSTAIN, "a vote lies below ABSTAIN"
        assert votes_NM.max() < num_classes, f"a vote names none of the {num_classes} classes"
    _, first_P, pattern_N, counts_P = np.unique(
        _keys(votes_NM, num_classes), return_index=True, return_inverse=True, return_counts=True
    )
    return Patterns(votes_NM[first_P], counts_P.astype(np.int64), pattern_N.astype(np.int64))


def _keys(votes_NM: NDArray[np.integer[Any]], num_classes: int) -> NDArray[np.int64]:
    base = num_classes + 1
    keys_N = np.zeros(len(votes_NM), np.int64)
    span = 1
    for votes_N in votes_NM.T:
        if span * base > LARGEST_KEY:
            # Sorting whole rows is several times slower than renumbering before an overflow.
            seen, keys_N = np.unique(keys_N, return_inverse=True)
            span = len(seen)
        keys_N = keys_N * base + (votes_N.astype(np.int64) - ABSTAIN)
        span *= base
    return keys_N
