"""How good predictions are: pure functions of arrays."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
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
        tuple(ClassScore(float(p), float(r), float(f), int(n)) for p, r, f, n in classes),
    )
