"""Batches: every image once, of one size, and the same however many workers share them."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wslabel.examples.sampler import assign_batches, windows


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    batch_size=st.integers(1, 40),
    world_size=st.integers(1, 5),
    seed=st.one_of(st.none(), st.integers(0, 99)),
)
def test_every_row_comes_once_in_even_batches_and_even_parts(
    sizes: list[int], batch_size: int, world_size: int, seed: int | None
) -> None:
    starts = np.cumsum([0, *sizes])
    chosen = [np.arange(a, b) for a, b in pairwise(starts)]
    rng = None if seed is None else np.random.default_rng(seed)
    assignment = assign_batches(chosen, batch_size, rng)
    batches = [
        [assignment.part(b, rank, world_size) for rank in range(world_size)]
        for b in range(assignment.num_batches)
    ]
    rows = np.concatenate([np.zeros(0, int), *(part for parts in batches for part in parts)])
    assert sorted(rows.tolist()) == list(range(sum(sizes)))
    counts = [sum(map(len, parts)) for parts in batches]
    assert max(counts, default=0) <= batch_size
    assert max(counts, default=0) - min(counts, default=0) <= 1
    if seed is not None:
        for rank in range(world_size):
            mine = [len(parts[rank]) for parts in batches]
            assert max(mine, default=0) - min(mine, default=0) <= 2
    alone = [assignment.part(b, 0, 1) for b in range(assignment.num_batches)]
    for parts, whole in zip(batches, alone, strict=True):
        assert np.array_equal(np.concatenate(parts), whole)


def test_a_worker_reads_its_own_shards() -> None:
    chosen = [np.arange(100) + 100 * shard for shard in range(8)]
    assignment = assign_batches(chosen, 32, np.random.default_rng(0))
    for rank in range(4):
        rows = np.concatenate([assignment.part(b, rank, 4) for b in range(assignment.num_batches)])
        assert set((rows // 100).tolist()) == {2 * rank, 2 * rank + 1}


def test_batches_are_drawn_from_all_shards_of_the_window() -> None:
    chosen = [np.arange(100) + 100 * shard for shard in range(8)]
    assignment = assign_batches(chosen, 32, np.random.default_rng(0))
    for number in range(assignment.num_batches):
        counts = np.bincount(assignment.part(number, 0, 1) // 100, minlength=8)
        assert counts.min() >= 2
        assert counts.max() <= 6


def test_without_a_generator_rows_keep_their_order() -> None:
    chosen = [np.array([3, 1]), np.array([7, 8, 9])]
    assignment = assign_batches(chosen, 2, None)
    rows = np.concatenate([assignment.part(b, 0, 1) for b in range(assignment.num_batches)])
    assert rows.tolist() == [3, 1, 7, 8, 9]


@given(num_shards=st.integers(0, 50), most=st.integers(1, 20), seed=st.integers(0, 9))
def test_windows_hold_every_shard_once(num_shards: int, most: int, seed: int) -> None:
    cut = windows(num_shards, most, np.random.default_rng(seed))
    assert sorted(np.concatenate(cut).tolist()) == list(range(num_shards))
    assert max(map(len, cut)) <= most
    assert max(map(len, cut)) - min(map(len, cut)) <= 1
    assert np.concatenate(windows(num_shards, most, None)).tolist() == list(range(num_shards))
