"""Counts for the page that add up over shards: pairs of labeling functions and histograms.

Shape legend: N images, M labeling functions, K classes, B bins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np

from wslabel.schema import ABSTAIN


class Adds(Protocol):
    """Something that adds up over shards."""

    def __add__(self, other: Self) -> Self:
        """Add what another shard shows."""
        ...


K = TypeVar("K")
T = TypeVar("T", bound=Adds)
SCORE_BINS, CONFIDENCE_BINS = 600, 20
"""Scores are counted finely, since a chart shows the part of their range that they fill."""


def added(first: Mapping[K, T], second: Mapping[K, T]) -> dict[K, T]:
    """Add up what stands under the same name.

    >>> added({"a": 1, "b": 2}, {"b": 3})
    {'a': 1, 'b': 5}
    """
    sums = dict(first)
    for name, value in second.items():
        sums[name] = sums[name] + value if name in sums else value
    return sums


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values fall into each of equal bins between two ends; the ends take what is beyond.

    Attributes:
        low: Left end of the first bin.
        high: Right end of the last bin.
        counts_B: Values in each bin.
    """

    low: float
    high: float
    counts_B: np.ndarray

    def __add__(self, other: "Histogram") -> "Histogram":
        assert (self.low, self.high) == (other.low, other.high), "histograms of different bins"
        return Histogram(self.low, self.high, self.counts_B + other.counts_B)


def histogram(values_N: np.ndarray, low: float, high: float, bins: int) -> Histogram:
    """Count values; NaN is left out.

    >>> histogram(np.array([-1.0, 0.1, 0.9, 5.0, np.nan]), 0.0, 1.0, 2).counts_B.tolist()
    [2, 2]
    """
    known_N = values_N[~np.isnan(values_N)].clip(low, high)
    counts_B, _ = np.histogram(known_N, bins=bins, range=(low, high))
    return Histogram(low, high, counts_B)


def filled(histogram: Histogram, bins: int = 50) -> Histogram:
    """Cut a fine histogram to the part in which there is something, in at most so many bins."""
    filled_B = np.flatnonzero(histogram.counts_B)
    if not len(filled_B):
        return histogram
    width = (histogram.high - histogram.low) / len(histogram.counts_B)
    first, last = int(filled_B[0]), int(filled_B[-1]) + 1
    step = -(-(last - first) // bins)
    part_B = histogram.counts_B[first:last]
    counts_B = np.pad(part_B, (0, -len(part_B) % step)).reshape(-1, step).sum(axis=1)
    low = histogram.low + first * width
    return Histogram(low, low + len(counts_B) * step * width, counts_B)


def pairs(votes_NM: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count images on which two labeling functions both voted, and on which they disagreed.

    Returns:
        Two int64 [m, m]; on the diagonal of the first, how often each voted.

    >>> overlaps, conflicts = pairs(np.array([[0, 0], [0, 1], [1, -1]]))
    >>> overlaps.tolist(), conflicts.tolist()
    ([[3, 2], [2, 2]], [[0, 1], [1, 0]])
    """
    voted_NM = (votes_NM != ABSTAIN).astype(np.float64)
    overlaps_MM = voted_NM.T @ voted_NM
    agreed_MM = np.zeros_like(overlaps_MM)
    for label in np.unique(votes_NM[votes_NM != ABSTAIN]):
        of_class_NM = (votes_NM == label).astype(np.float64)
        agreed_MM += of_class_NM.T @ of_class_NM
    return overlaps_MM.astype(np.int64), (overlaps_MM - agreed_MM).astype(np.int64)


def most(score_N: np.ndarray, chosen_N: np.ndarray, count: int) -> np.ndarray:
    """Give the rows of the highest scores among the chosen, best first, ties by row."""
    rows = np.flatnonzero(chosen_N)
    return rows[np.argsort(-score_N[rows], kind="stable")[:count]]
