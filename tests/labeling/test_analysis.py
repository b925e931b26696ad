"""The table of labeling functions is Snorkel's, and shards add up to it."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from snorkel.labeling import LFAnalysis

from wslabel.labeling.analysis import LfRow, VoteCounts, count, merge, table

# SciPy announces a new dtype of `sparse.diags`, which Snorkel's LFAnalysis calls on integers.
pytestmark = pytest.mark.filterwarnings("ignore:Input has data type int64:FutureWarning")

Ints = NDArray[np.int64]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Ints, Ints, int]:
    num_classes = draw(st.integers(2, 6))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    votes_NM = rng.integers(0, num_classes, shape)
    votes_NM[rng.random(shape) >= draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))] = -1
    truth_N = rng.integers(0, num_classes, shape[0])
    return votes_NM, truth_N, num_classes


def rows(counts: VoteCounts) -> list[LfRow]:
    num_functions, num_classes = counts.num_votes_MK.shape
    names = [f"lf_{i}" for i in range(num_functions)]
    return table(counts, names, [f"class_{i}" for i in range(num_classes)])


def columns(table_: list[LfRow]) -> dict[str, list[Any]]:
    return {
        "Polarity": [list(row.polarity) for row in table_],
        "Coverage": [row.coverage for row in table_],
        "Overlaps": [row.overlaps for row in table_],
        "Conflicts": [row.conflicts for row in table_],
        "Correct": [row.correct for row in table_],
        "Incorrect": [row.incorrect for row in table_],
        "Emp. Acc.": [row.empirical_accuracy for row in table_],
    }


def same(a: VoteCounts, b: VoteCounts) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(VoteCounts))


@settings(deadline=None, max_examples=25)
@given(cases())
def test_table_equals_snorkels(case: tuple[Ints, Ints, int]) -> None:
    votes_NM, truth_N, num_classes = case
    ours = columns(rows(count(votes_NM.astype(np.int8), truth_N, num_classes)))
    theirs = LFAnalysis(votes_NM).lf_summary(truth_N)
    assert ours == {name: theirs[name].tolist() for name in theirs}


@settings(deadline=None, max_examples=25)
@given(cases())
def test_table_without_truth_equals_snorkels(case: tuple[Ints, Ints, int]) -> None:
    votes_NM, truth_N, num_classes = case
    ours = columns(rows(count(votes_NM, None, num_classes)))
    theirs = LFAnalysis(votes_NM).lf_summary()
    assert {name: ours[name] for name in theirs} == {name: theirs[name].tolist() for name in theirs}
    for name in ("Correct", "Incorrect", "Emp. Acc."):
        assert ours[name] == [None] * votes_NM.shape[1]
    assert same(
        count(votes_NM, None, num_classes), count(votes_NM, np.full_like(truth_N, -1), num_classes)
    )


@settings(deadline=None, max_examples=25)
@given(cases(), st.integers(0, 2**32))
def test_unknown_truth_is_neither_right_nor_wrong(case: tuple[Ints, Ints, int], seed: int) -> None:
    votes_NM, truth_N, num_classes = case
    truth_N = np.where(np.random.default_rng(seed).random(len(truth_N)) < 0.5, -1, truth_N)
    truth_N[0] = 0
    ours = columns(rows(count(votes_NM, truth_N, num_classes)))
    theirs = LFAnalysis(votes_NM).lf_summary(truth_N)
    for name in ("Coverage", "Overlaps", "Conflicts", "Correct", "Incorrect"):
        assert ours[name] == theirs[name].tolist()
    known_N = truth_N != -1
    of_known = LFAnalysis(votes_NM[known_N]).lf_summary(truth_N[known_N])
    assert ours["Emp. Acc."] == of_known["Emp. Acc."].tolist()


@settings(deadline=None, max_examples=25)
@given(cases(), st.lists(st.integers(0, 40), max_size=4), st.integers(0, 2**32))
def test_shards_in_any_order_equal_the_whole(
    case: tuple[Ints, Ints, int], cuts: list[int], seed: int
) -> None:
    votes_NM, truth_N, num_classes = case
    whole = count(votes_NM, truth_N, num_classes)
    order_N = np.random.default_rng(seed).permutation(len(votes_NM))
    parts = zip(
        np.split(votes_NM[order_N], sorted(cuts)),
        np.split(truth_N[order_N], sorted(cuts)),
        strict=True,
    )
    merged, *shards = [count(votes, truth, num_classes) for votes, truth in parts]
    for shard in shards:
        merged = merge(shard, merged)
    assert same(merged, whole)


def test_rows_name_their_classes() -> None:
    counts = count(np.array([[0, -1], [2, -1]]), None, 3)
    first, second = table(counts, ["color", "shape"], ["land", "sea", "sky"])
    assert (first.name, first.polarity, first.classes) == ("color", (0, 2), ("land", "sky"))
    assert (second.name, second.polarity, second.coverage) == ("shape", (), 0.0)


def test_no_image_is_no_error() -> None:
    assert rows(count(np.empty((0, 2), np.int8), None, 3))[0].coverage == 0.0
