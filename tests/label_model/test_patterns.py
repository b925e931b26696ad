"""Distinct rows of votes, counted, from which the votes come back."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.label_model.votes import Votes, votes_and_classes
from wslabel.label_model.patterns import compress


@settings(deadline=None, max_examples=50)
@given(votes_and_classes())
def test_patterns_give_the_votes_back(case: tuple[Votes, int]) -> None:
    votes_NM, num_classes = case
    patterns = compress(votes_NM, num_classes)
    assert np.array_equal(patterns.votes_PM[patterns.pattern_N], votes_NM)
    assert len(np.unique(patterns.votes_PM, axis=0)) == len(patterns.votes_PM)
    assert np.array_equal(np.bincount(patterns.pattern_N), patterns.counts_P)


def test_more_functions_than_a_number_holds_are_told_apart() -> None:
    votes_NM = np.zeros((3, 100), np.int8)
    votes_NM[1, 0] = votes_NM[2, 99] = 1
    patterns = compress(np.concatenate([votes_NM, votes_NM]), 5)
    assert patterns.counts_P.tolist() == [2, 2, 2]


@pytest.mark.parametrize("vote", [-2, 3])
def test_a_vote_for_no_class_is_refused(vote: int) -> None:
    with pytest.raises(AssertionError, match="vote"):
        compress(np.array([[0, vote]]), 3)
