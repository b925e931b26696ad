"""Counts for the page that add up over shards: pairs of voters, histograms, calibration.

Shape legend: N images, M labeling functions, K classes, B bins.
"""

from dataclasses import dataclass

import numpy as np

from wslabel.schema import ABSTAIN

SCORE_BINS, CONFIDENCE_BINS = 60, 20


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values fall into each of equal bins between two ends; the ends take what is beyond.

    Attributes:
        low: left end of the first bin.
        high: right end of the last one.
        counts_B: per bin.
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


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images by confidence: how many, the sum of their confidence, how many are right."""

    counts_B: np.ndarray
    confidence_B: np.ndarray
    correct_B: np.ndarray

    def __add__(self, other: "Calibration") -> "Calibration":
        return Calibration(
            self.counts_B + other.counts_B,
            self.confidence_B + other.confidence_B,
            self.correct_B + other.correct_B,
        )

    def error(self) -> float | None:
        """Give the expected calibration error (Guo et al. 2017): mean gap weighted by images."""
        total = self.counts_B.sum()
        if not total:
            return None
        return float(np.abs(self.correct_B - self.confidence_B).sum() / total)


def calibrate(probs_NK: np.ndarray, truth_N: np.ndarray, bins: int = 10) -> Calibration:
    """Compare confidence with truth, over the images that have a label and a truth."""
    known_N = (truth_N != ABSTAIN) & ~np.isnan(probs_NK[:, 0])
    probs_NK, truth_N = probs_NK[known_N].astype(float), truth_N[known_N]
    confidence_N = probs_NK.max(axis=1, initial=0.0)
    bin_N = np.minimum((confidence_N * bins).astype(int), bins - 1)
    correct_N = (probs_NK.argmax(axis=1) == truth_N).astype(float)
    return Calibration(
        np.bincount(bin_N, minlength=bins),
        np.bincount(bin_N, confidence_N, minlength=bins),
        np.bincount(bin_N, correct_N, minlength=bins),
    )


def pairs(votes_NM: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Count images on which two labeling functions both voted, and on which they disagreed.

    Returns:
        Two int64 [m, m]; on the diagonal of the first, how often each voted.

    >>> overlaps, conflicts = pairs(np.array([[0, 0], [0, 1], [1, -1]]), 2)
    >>> overlaps.tolist(), conflicts.tolist()
    ([[3, 2], [2, 2]], [[0, 1], [1, 0]])
    """
    voted_NM = (votes_NM != ABSTAIN).astype(np.float64)
    overlaps_MM = voted_NM.T @ voted_NM
    agreed_MM = np.zeros_like(overlaps_MM)
    for label in range(num_classes):
        of_class_NM = (votes_NM == label).astype(np.float64)
        agreed_MM += of_class_NM.T @ of_class_NM
    return overlaps_MM.astype(np.int64), (overlaps_MM - agreed_MM).astype(np.int64)


def most(score_N: np.ndarray, chosen_N: np.ndarray, count: int) -> np.ndarray:
    """Give the rows of the highest scores among the chosen, best first, ties by row."""
    rows = np.flatnonzero(chosen_N)
    return rows[np.argsort(-score_N[rows], kind="stable")[:count]]
