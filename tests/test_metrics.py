"""Scores are scikit-learn's."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from wslabel import metrics
from wslabel.metrics import confusion, scores

Case = tuple[np.ndarray, np.ndarray, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    num_classes = draw(st.integers(2, 6))
    ids = st.integers(0, num_classes - 1)
    pairs = draw(st.lists(st.tuples(ids, ids), min_size=1, max_size=60))
    truth, found = np.array(pairs).T
    return truth, found, num_classes


@settings(deadline=None)
@given(cases())
@example((np.array([0, 0]), np.array([1, 1]), 3))
def test_scores_are_those_of_scikit_learn(case: Case) -> None:
    truth, found, num_classes = case
    labels = list(range(num_classes))
    counts = confusion(truth, found, num_classes)
    assert np.array_equal(counts, confusion_matrix(truth, found, labels=labels))
    theirs = precision_recall_fscore_support(truth, found, labels=labels, zero_division=0)
    mine = scores(counts)
    for name, values in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        assert [getattr(c, name) for c in mine.classes] == pytest.approx(values.tolist(), abs=1e-12)
    assert mine.accuracy == pytest.approx(accuracy_score(truth, found), abs=1e-12)
    assert mine.num_images == len(truth)


@settings(deadline=None, max_examples=50)
@given(cases(), st.integers(0, 60))
def test_counts_of_shards_add_up(case: Case, cut: int) -> None:
    truth, found, num_classes = case
    parts = (
        confusion(truth[:cut], found[:cut], num_classes),
        confusion(truth[cut:], found[cut:], num_classes),
    )
    assert np.array_equal(sum(parts), confusion(truth, found, num_classes))


def test_no_images_score_nothing() -> None:
    empty = scores(confusion(np.zeros(0, int), np.zeros(0, int), 2))
    assert (empty.accuracy, empty.num_images) == (0.0, 0)
    assert [c.f1 for c in empty.classes] == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_small_integers_do_not_overflow(dtype: type[np.signedinteger]) -> None:
    truth, found = np.full(3, 120, dtype), np.full(3, 126, dtype)
    assert confusion(truth, found, 127)[120, 126] == 3


@given(
    truth=st.lists(st.integers(0, 2), min_size=2, max_size=40),
    seed=st.integers(0, 50),
    levels=st.sampled_from([2, 5, 1000]),
)
def test_the_area_under_the_curve_is_scikit_learns(
    truth: list[int], seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    truth_N = np.array(truth)
    probs_NK = rng.integers(0, levels, (len(truth), 3)) / levels  # with ties
    areas = [
        reference.roc_auc_score(truth_N == label, probs_NK[:, label])
        for label in range(3)
        if 0 < (truth_N == label).sum() < len(truth_N)
    ]
    found = metrics.roc_auc(truth_N, probs_NK)
    assert found == (pytest.approx(np.mean(areas)) if areas else None)


def test_macro_f1_is_scikit_learns_over_the_classes_there_are() -> None:
    rng = np.random.default_rng(0)
    truth_N, found_N = rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    expected = reference.f1_score(truth_N, found_N, labels=[0, 1, 2], average="macro")
    assert metrics.macro_f1(truth_N, found_N, 4) == pytest.approx(expected)
    assert metrics.macro_f1(np.zeros(0, int), np.zeros(0, int), 2) == 0


def test_likelihood_by_hand() -> None:
    truth_N = np.array([0, 0, 1, 1])
    probs_NK = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.3, 0.7]])
    likelihood = -np.log([0.9, 0.9, 0.1, 0.7]).mean()
    assert metrics.negative_log_likelihood(truth_N, probs_NK) == pytest.approx(likelihood)
    assert metrics.negative_log_likelihood(truth_N[:0], probs_NK[:0]) is None


def test_calibration_by_hand() -> None:
    truth_N = np.array([0, 0, 1, 1, -1, 0])
    nothing = [np.nan, np.nan]
    probs_NK = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [1.0, 0.0], nothing])
    found = metrics.calibrate(truth_N, probs_NK)
    # Two bins: three images at .9 of which two are right, one at .7 that is right.
    assert found.counts_B.tolist() == [0] * 10 + [1, 0, 0, 3, 0]
    assert found.correct_B.tolist() == [0] * 10 + [1, 0, 0, 2, 0]
    assert found.error == pytest.approx((abs(2.7 - 2) + abs(0.7 - 1)) / 4)
    assert metrics.calibration_error(truth_N, probs_NK) == found.error
    assert metrics.calibration_error(truth_N[:0], probs_NK[:0]) is None


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**32))
def test_calibrations_add_up(size: int, cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs_NK = rng.dirichlet(np.ones(3), size).astype(np.float32)
    probs_NK[rng.random(size) < 0.2] = np.nan
    truth_N = rng.integers(-1, 3, size)
    whole = metrics.calibrate(truth_N, probs_NK)
    parts = metrics.calibrate(truth_N[:cut], probs_NK[:cut])
    parts += metrics.calibrate(truth_N[cut:], probs_NK[cut:])
    assert whole.counts_B.tolist() == parts.counts_B.tolist()
    assert whole.correct_B.tolist() == parts.correct_B.tolist()
    assert whole.confidence_B == pytest.approx(parts.confidence_B)
    assert whole.counts_B.sum() == ((truth_N >= 0) & ~np.isnan(probs_NK[:, 0])).sum()
