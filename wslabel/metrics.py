"""How good predictions are: pure functions of arrays."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

CALIBRATION_BINS = 15
"""Bins of confidence, wherever calibration is measured or drawn."""


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """Precision, recall and F1 of one class, and how many images are truly of it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Scores:
    """Accuracy over `num_images`, and the scores of each class in the order of ids."""

    accuracy: float
    num_images: int
    classes: tuple[ClassScore, ...]

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur in truth; 0 where none does."""
        return mean_f1(self.classes)


def confusion(truth_N: np.ndarray, found_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Count images by true (row) and found (column) class; both are ids.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    cells = truth_N.astype(np.int64) * num_classes + found_N
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def scores(confusion_KK: np.ndarray) -> Scores:
    """Score a confusion matrix; a ratio without a denominator is 0, as in scikit-learn."""
    hits_K = np.diag(confusion_KK).astype(float)
    found_K, truth_K = confusion_KK.sum(axis=0), confusion_KK.sum(axis=1)
    precision_K = hits_K / np.maximum(found_K, 1)
    recall_K = hits_K / np.maximum(truth_K, 1)
    f1_K = 2 * hits_K / np.maximum(found_K + truth_K, 1)
    num_images = int(confusion_KK.sum())
    classes = zip(precision_K, recall_K, f1_K, truth_K, strict=True)
    return Scores(
        float(hits_K.sum() / max(1, num_images)),
        num_images,
        tuple(
            ClassScore(precision=float(p), recall=float(r), f1=float(f), support=int(n))
            for p, r, f, n in classes
        ),
    )


def mean_f1(classes: Iterable[ClassScore]) -> float:
    """Average F1 over the classes that occur in truth; 0 where none does."""
    found = [score.f1 for score in classes if score.support]
    return float(np.mean(found)) if found else 0.0


def macro_f1(truth_N: np.ndarray, found_N: np.ndarray, num_classes: int) -> float:
    """Give the mean F1 over the classes that occur in truth; 0 without images."""
    return scores(confusion(truth_N, found_N, num_classes)).macro_f1


def roc_auc(truth_N: np.ndarray, probs_NK: np.ndarray) -> float | None:
    """Give the area under the ROC curve, each class against the rest, averaged over the classes.

    Only classes that some images have and others lack count; None where there is no such class.
    """
    areas = []
    for label in range(probs_NK.shape[1]):
        is_it_N = truth_N == label
        if is_it_N.any() and not is_it_N.all():
            areas.append(_area(is_it_N, probs_NK[:, label]))
    return float(np.mean(areas)) if areas else None


def _area(is_it_N: np.ndarray, scores_N: np.ndarray) -> float:
    """Give the share of pairs of a true and an untrue image that scores order rightly."""
    _, place_N, counts = np.unique(scores_N, return_inverse=True, return_counts=True)
    ranks_N = (np.cumsum(counts) - (counts - 1) / 2)[place_N]  # ties share their mean rank
    true, untrue = int(is_it_N.sum()), int((~is_it_N).sum())
    return float((ranks_N[is_it_N].sum() - true * (true + 1) / 2) / (true * untrue))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images by confidence, in equal bins between 0 and 1; adds up over images.

    Attributes:
        counts_B: Images in each bin.
        confidence_B: Sum of their confidence.
        correct_B: How many of them are right.
    """

    counts_B: np.ndarray
    confidence_B: np.ndarray
    correct_B: np.ndarray

    def __add__(self, other: "Calibration") -> "Calibration":
        return Calibration(
            self.counts_B + other.counts_B,
            self.confidence_B + other.confidence_B,
            self.correct_B + other.correct_B,
        )

    @property
    def error(self) -> float | None:
        """The expected calibration error (Guo et al. 2017): the mean gap, weighted by images.

        None without images.
        """
        total = self.counts_B.sum()
        if not total:
            return None
        return float(np.abs(self.confidence_B - self.correct_B).sum() / total)


def calibrate(truth_N: np.ndarray, probs_NK: np.ndarray) -> Calibration:
    """Compare confidence with truth, over images that have both; no truth is -1, no label NaN."""
    known_N = (truth_N >= 0) & ~np.isnan(probs_NK[:, 0])
    truth_N, probs_NK = truth_N[known_N], probs_NK[known_N]
    confidence_N = probs_NK.max(axis=1, initial=0.0)
    bin_N = np.minimum((confidence_N * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    right_N = probs_NK.argmax(axis=1) == truth_N
    return Calibration(
        np.bincount(bin_N, minlength=CALIBRATION_BINS),
        np.bincount(bin_N, confidence_N, CALIBRATION_BINS),
        np.bincount(bin_N, right_N, CALIBRATION_BINS),
    )


def calibration_error(truth_N: np.ndarray, probs_NK: np.ndarray) -> float | None:
    """Give the expected calibration error of labels; None without images."""
    return calibrate(truth_N, probs_NK).error


def negative_log_likelihood(truth_N: np.ndarray, probs_NK: np.ndarray) -> float | None:
    """Give the mean of -log p(truth), of probabilities of at least 1e-7; None without images."""
    if not len(truth_N):
        return None
    return float(-np.log(np.maximum(probs_NK[np.arange(len(truth_N)), truth_N], 1e-7)).mean())
