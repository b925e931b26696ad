"""From truth and probabilities to the figures of a network, or of soft labels.

Shape legend: N images, K classes.
"""

from dataclasses import dataclass

import numpy as np

from wslabel.metrics import (
    calibration_error,
    confusion,
    negative_log_likelihood,
    roc_auc,
    scores,
)
from wslabel.report.evaluation import Performance


@dataclass(frozen=True, eq=False)
class Answers:
    """What is said of images whose truth is known; NaN of those of which nothing is said."""

    truth_N: np.ndarray
    probs_NK: np.ndarray

    def __add__(self, other: "Answers") -> "Answers":
        truth_N = np.concatenate([self.truth_N, other.truth_N])
        return Answers(truth_N, np.concatenate([self.probs_NK, other.probs_NK]))


@dataclass(frozen=True, eq=False)
class HardLabels:
    """How hard labels compare with truth, countable group by group.

    Attributes:
        num_truths: Images whose truth is known.
        confusion_KK: Those of them that have a label, by true (row) and labeled (column) class.
    """

    num_truths: int
    confusion_KK: np.ndarray

    def __add__(self, other: "HardLabels") -> "HardLabels":
        num_truths = self.num_truths + other.num_truths
        return HardLabels(num_truths, self.confusion_KK + other.confusion_KK)


def judge(answers: Answers, num_classes: int) -> Performance:
    """Judge probabilities of which the highest is the answer."""
    said_N = ~np.isnan(answers.probs_NK[:, 0])
    truth_N, label_N = answers.truth_N[said_N], answers.probs_NK[said_N].argmax(axis=1)
    counted = HardLabels(len(answers.truth_N), confusion(truth_N, label_N, num_classes))
    return judge_labels(counted, answers)


def judge_labels(labels: HardLabels, answers: Answers | None) -> Performance:
    """Judge hard labels, and their probabilities where these were gathered."""
    scored = scores(labels.confusion_KK)
    truth_N, probs_NK = np.zeros(0, np.int64), np.zeros((0, len(labels.confusion_KK)))
    if answers is not None:
        said_N = ~np.isnan(answers.probs_NK[:, 0])
        truth_N, probs_NK = answers.truth_N[said_N], answers.probs_NK[said_N]
    return Performance(
        num_images=scored.num_images,
        coverage=scored.num_images / labels.num_truths if labels.num_truths else None,
        accuracy=scored.accuracy,
        classes=scored.classes,
        confusion_KK=labels.confusion_KK,
        roc_auc=roc_auc(truth_N, probs_NK),
        calibration_error=calibration_error(truth_N, probs_NK),
        negative_log_likelihood=negative_log_likelihood(truth_N, probs_NK),
    )
