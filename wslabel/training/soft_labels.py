"""What is done to labels before a network learns from them: pure functions of arrays."""

from collections.abc import Sequence

import numpy as np

EFFECTIVE_BETA = 0.999


def confidence(targets_NK: np.ndarray) -> np.ndarray:
    """Give the highest probability of each label; 0 where there is no label (NaN)."""
    return np.asarray(np.nan_to_num(targets_NK, nan=0.0).max(axis=1), np.float32)


def smooth(targets_NK: np.ndarray, epsilon: float, form: str = "uniform") -> np.ndarray:
    """Spread the share epsilon of each label over all classes, or over the others.

    `uniform` (Szegedy et al. 2016): (1 - eps) y + eps / K. `others` (Lee 2013's pseudo-labels as
    they are smoothed in practice): a certain class gets 1 - eps and each other class eps / (K - 1);
    for a soft y that is (1 - eps) y + eps (1 - y) / (K - 1). Both keep the sum.

    >>> smooth(np.array([[1.0, 0.0, 0.0]]), 0.3).round(3).tolist()
    [[0.8, 0.1, 0.1]]
    >>> smooth(np.array([[1.0, 0.0, 0.0]]), 0.3, "others").round(3).tolist()
    [[0.7, 0.15, 0.15]]
    """
    num_classes = targets_NK.shape[1]
    if form == "uniform":
        return np.asarray((1 - epsilon) * targets_NK + epsilon / num_classes)
    return np.asarray((1 - epsilon) * targets_NK + epsilon * (1 - targets_NK) / (num_classes - 1))


def mix(given_NK: np.ndarray, predicted_NK: np.ndarray, given_weight: float) -> np.ndarray:
    """Mix given labels with predicted ones: w given + (1 - w) predicted.

    An image without a given label (NaN) takes the predicted one as it is.

    >>> mix(np.array([[1.0, 0.0]]), np.array([[0.2, 0.8]]), 0.5).tolist()
    [[0.6, 0.4]]
    """
    mixed_NK = given_weight * given_NK + (1 - given_weight) * predicted_NK
    return np.where(np.isnan(given_NK), predicted_NK, mixed_NK)


def class_weights(totals_K: np.ndarray, kind: str | None) -> np.ndarray:
    """Weigh classes so that rare ones count; the mean weight over all images is 1.

    Args:
        totals_K: Sum of the labels of each class.
        kind: `balanced`, the inverse of a class's share; `effective`, the inverse of its effective
            number of images (1 - b^n) / (1 - b) with b = 0.999 (Cui et al. 2019); None, all 1.

    >>> class_weights(np.array([30.0, 10.0]), "balanced").round(2).astype(str).tolist()
    ['0.67', '2.0']
    """
    if kind is None:
        return np.ones(len(totals_K), np.float32)
    counts_K = np.maximum(totals_K, 1e-9)
    if kind == "effective":
        raw_K = (1 - EFFECTIVE_BETA) / (1 - EFFECTIVE_BETA**counts_K)
    else:
        raw_K = 1.0 / counts_K
    raw_K = np.where(totals_K > 0, raw_K, 0.0)
    return np.asarray(raw_K * totals_K.sum() / max(1e-9, (raw_K * totals_K).sum()), np.float32)


def image_weights(
    targets_NK: np.ndarray, weights_K: Sequence[float] | None, confidence_N: np.ndarray | None
) -> np.ndarray:
    """Give what each image counts.

    Args:
        targets_NK: Labels as probabilities; NaN where there is none.
        weights_K: Weight of each class; None weighs all alike.
        confidence_N: What each image counts besides; None counts all alike.
    """
    known_NK = np.nan_to_num(targets_NK, nan=0.0)
    weights_N = np.ones(len(known_NK)) if weights_K is None else known_NK @ np.array(weights_K)
    if confidence_N is not None:
        weights_N = weights_N * confidence_N
    return np.asarray(weights_N, np.float32)
