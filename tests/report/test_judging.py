"""Figures of probabilities are those of plain computations, and parts add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from wslabel.metrics import confusion
from wslabel.report.judging import Answers, HardLabels, judge, judge_labels


def answers(seed: int, size: int) -> Answers:
    rng = np.random.default_rng(seed)
    probs_NK = rng.dirichlet(np.ones(3), size).astype(np.float32)
    probs_NK[rng.random(size) < 0.2] = np.nan
    return Answers(rng.integers(0, 3, size), probs_NK)


@given(st.integers(0, 2**32), st.integers(0, 50), st.integers(0, 50))
def test_parts_are_judged_as_the_whole(seed: int, size: int, cut: int) -> None:
    whole = answers(seed, size)
    first = Answers(whole.truth_N[:cut], whole.probs_NK[:cut])
    second = Answers(whole.truth_N[cut:], whole.probs_NK[cut:])
    assert judge(first + second, 3).to_json() == judge(whole, 3).to_json()


def test_figures_are_those_of_scikit_learn() -> None:
    found = answers(0, 200)
    said_N = ~np.isnan(found.probs_NK[:, 0])
    truth_N, label_N = found.truth_N[said_N], found.probs_NK[said_N].argmax(axis=1)
    judged = judge(found, 3)
    assert judged.num_images == said_N.sum()
    assert judged.coverage == pytest.approx(said_N.mean())
    assert judged.accuracy == pytest.approx(accuracy_score(truth_N, label_N))
    assert judged.macro_f1 == pytest.approx(f1_score(truth_N, label_N, average="macro"))


def test_of_no_images_nothing_is_measured() -> None:
    judged = judge(answers(0, 0), 3)
    assert judged.num_images == 0
    assert judged.coverage is None
    assert judged.roc_auc is None
    assert judged.calibration_error is None
    assert judged.negative_log_likelihood is None


def test_hard_labels_count_by_themselves_and_probabilities_beside_them() -> None:
    """A tie has probabilities and no label."""
    soft = Answers(np.array([0, 1]), np.array([[0.5, 0.5], [0.2, 0.8]]))
    hard = HardLabels(1, confusion(np.array([1]), np.array([1]), 2))
    hard += HardLabels(1, np.zeros((2, 2), int))
    judged = judge_labels(hard, soft)
    assert (judged.num_images, judged.coverage, judged.accuracy) == (1, 0.5, 1.0)
    assert judged.roc_auc == 1.0
    assert judge_labels(hard, None).roc_auc is None
