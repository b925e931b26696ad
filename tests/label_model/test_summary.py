"""Joint votes: exact counts that shards may add up in any order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.label_model.votes import draw_votes, votes_and_classes
from wslabel.label_model import summary
from wslabel.label_model.summary import Summary, merge, summarize

Votes = NDArray[np.integer[Any]]


def by_definition(votes_NM: Votes, num_classes: int) -> NDArray[np.int64]:
    one_hot = (votes_NM[:, :, None] == np.arange(num_classes)).astype(np.int64)
    indicators = one_hot.reshape(len(votes_NM), votes_NM.shape[1] * num_classes)
    product: NDArray[np.int64] = indicators.T @ indicators
    return product


def same(a: Summary, b: Summary) -> bool:
    return a.num_images == b.num_images and np.array_equal(a.cooccurrence, b.cooccurrence)


@settings(deadline=None, max_examples=50)
@given(votes_and_classes())
def test_counts_are_those_of_the_definition(case: tuple[Votes, int]) -> None:
    votes_NM, num_classes = case
    whole = summarize(votes_NM, num_classes)
    assert whole.cooccurrence.dtype == np.int64
    assert whole.num_images == len(votes_NM)
    assert np.array_equal(whole.cooccurrence, by_definition(votes_NM, num_classes))


@settings(deadline=None, max_examples=25)
@given(votes_and_classes(), st.lists(st.integers(0, 60), max_size=4), st.randoms())
def test_shards_in_any_order_equal_the_whole(case: tuple[Votes, int], cuts: Any, rng: Any) -> None:
    votes_NM, num_classes = case
    shards = [summarize(part, num_classes) for part in np.split(votes_NM, sorted(cuts))]
    rng.shuffle(shards)
    merged = shards[0]
    for shard in shards[1:]:
        merged = merge(shard, merged)
    assert same(merged, summarize(votes_NM, num_classes))


@settings(deadline=None, max_examples=25)
@given(votes_and_classes(), st.integers(0, 2**32))
def test_the_order_of_images_does_not_matter(case: tuple[Votes, int], seed: int) -> None:
    votes_NM, num_classes = case
    shuffled_NM = np.random.default_rng(seed).permutation(votes_NM)
    assert same(summarize(shuffled_NM, num_classes), summarize(votes_NM, num_classes))


def test_the_size_of_chunks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    votes_NM = draw_votes(0, (500, 6), 4, 0.7)
    whole = summarize(votes_NM, 4)
    monkeypatch.setattr(summary, "CELLS_PER_CHUNK", 24 * 7)
    assert same(summarize(votes_NM, 4), whole)


def test_coverage_counts_abstained_images() -> None:
    votes_NM = np.array([[0, -1, 2], [1, -1, -1], [-1, -1, -1], [-1, -1, 0]])
    assert summarize(votes_NM, 3).coverage_M(3).tolist() == [0.5, 0.0, 0.5]


@pytest.mark.parametrize("vote", [-2, 3])
def test_a_vote_for_no_class_is_refused(vote: int) -> None:
    with pytest.raises(AssertionError, match="vote"):
        summarize(np.array([[0, vote]]), 3)
