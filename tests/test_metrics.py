"""Scores are scikit-learn's."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

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
