"""What the page counts adds up over any cut into shards, and is what a plain computation gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wslabel.report.statistics import filled, histogram, most, pairs
from wslabel.schema import ABSTAIN


@st.composite
def cut(draw: st.DrawFn) -> tuple[np.random.Generator, int, int]:
    size = draw(st.integers(0, 60))
    return np.random.default_rng(draw(st.integers(0, 2**32))), size, draw(st.integers(0, size))


@given(cut())
def test_histograms_add_up(case: tuple[np.random.Generator, int, int]) -> None:
    rng, size, at = case
    values = rng.normal(0, 1, size)
    values[rng.random(size) < 0.2] = np.nan
    whole = histogram(values, -1.0, 1.0, 7)
    parts = histogram(values[:at], -1.0, 1.0, 7) + histogram(values[at:], -1.0, 1.0, 7)
    assert whole.counts_B.tolist() == parts.counts_B.tolist()
    assert whole.counts_B.sum() == (~np.isnan(values)).sum()


@given(cut())
def test_a_fine_histogram_is_cut_to_what_it_holds(
    case: tuple[np.random.Generator, int, int],
) -> None:
    rng, size, _ = case
    values = rng.normal(0.3, 0.1, size)
    fine = histogram(values, -1.0, 2.0, 600)
    shown = filled(fine)
    assert shown.counts_B.sum() == size
    assert len(shown.counts_B) <= 50 or not size
    if size:
        assert shown.counts_B[0] > 0
        width = (shown.high - shown.low) / len(shown.counts_B)
        assert shown.low <= values.min() + 1e-9
        assert values.max() - 1e-9 <= shown.high < values.max() + 2 * width


@given(cut(), st.integers(1, 4))
def test_pairs_are_those_of_loops(
    case: tuple[np.random.Generator, int, int], num_voters: int
) -> None:
    rng, size, _ = case
    votes = rng.integers(-1, 3, (size, num_voters)).astype(np.int8)
    overlaps, conflicts = pairs(votes)
    for i in range(num_voters):
        for j in range(num_voters):
            both = [(a, b) for a, b in votes[:, [i, j]].tolist() if ABSTAIN not in (a, b)]
            assert overlaps[i, j] == len(both)
            assert conflicts[i, j] == sum(a != b for a, b in both)


def test_the_most_come_first_and_ties_by_row() -> None:
    scores = np.array([0.5, 0.9, 0.9, 0.1, 1.0])
    chosen = np.array([True, True, True, True, False])
    assert most(scores, chosen, 3).tolist() == [1, 2, 0]
