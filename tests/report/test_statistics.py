"""What the page counts adds up over any cut into shards, and is what a plain computation gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.report.statistics import calibrate, histogram, most, pairs
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
def test_calibrations_add_up(case: tuple[np.random.Generator, int, int]) -> None:
    rng, size, at = case
    probs = rng.dirichlet(np.ones(3), size)
    probs[rng.random(size) < 0.2] = np.nan
    truth = rng.integers(-1, 3, size)
    whole, parts = calibrate(probs, truth), calibrate(probs[:at], truth[:at])
    parts += calibrate(probs[at:], truth[at:])
    assert whole.counts_B.tolist() == parts.counts_B.tolist()
    assert whole.correct_B.tolist() == parts.correct_B.tolist()
    assert whole.confidence_B == pytest.approx(parts.confidence_B)
    assert whole.counts_B.sum() == ((truth >= 0) & ~np.isnan(probs[:, 0])).sum()


def test_calibration_by_hand() -> None:
    probs = np.array([[0.95, 0.05], [0.85, 0.15], [0.15, 0.85], [0.4, 0.6], [np.nan, np.nan]])
    found = calibrate(probs, np.array([0, 1, 1, -1, 0]))
    assert found.counts_B.tolist() == [0] * 8 + [2, 1]
    assert found.correct_B.tolist() == [0] * 8 + [1, 1]
    assert found.error() == pytest.approx((abs(1 - 1.7) + abs(1 - 0.95)) / 3)
    assert calibrate(probs[:0], np.zeros(0, int)).error() is None


@given(cut(), st.integers(1, 4))
def test_pairs_are_those_of_loops(
    case: tuple[np.random.Generator, int, int], num_voters: int
) -> None:
    rng, size, _ = case
    votes = rng.integers(-1, 3, (size, num_voters)).astype(np.int8)
    overlaps, conflicts = pairs(votes, 3)
    for i in range(num_voters):
        for j in range(num_voters):
            both = [(a, b) for a, b in votes[:, [i, j]].tolist() if ABSTAIN not in (a, b)]
            assert overlaps[i, j] == len(both)
            assert conflicts[i, j] == sum(a != b for a, b in both)


def test_the_most_come_first_and_ties_by_row() -> None:
    scores = np.array([0.5, 0.9, 0.9, 0.1, 1.0])
    chosen = np.array([True, True, True, True, False])
    assert most(scores, chosen, 3).tolist() == [1, 2, 0]
