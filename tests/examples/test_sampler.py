"""Batches: every image once, of one size, and the same however many workers share them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.examples.sampler import BatchAssignment, assign_batches, count_ready, windows


def rows_of(assignment: BatchAssignment, rank: int = 0, world_size: int = 1) -> np.ndarray:
    batches = range(assignment.num_batches)
    parts = [assignment.part(batch, rank, world_size) for batch in batches]
    return np.concatenate([np.zeros(0, int), *parts])


@given(
    num_rows=st.integers(0, 180),
    batch_size=st.integers(1, 40),
    world_size=st.integers(1, 5),
    seed=st.one_of(st.none(), st.integers(0, 99)),
)
def test_every_row_comes_once_in_even_batches_and_even_parts(
    num_rows: int, batch_size: int, world_size: int, seed: int | None
) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    assignment = assign_batches(num_rows, batch_size, rng)
    batches = [
        [assignment.part(b, rank, world_size) for rank in range(world_size)]
        for b in range(assignment.num_batches)
    ]
    rows = np.concatenate([np.zeros(0, int), *(part for parts in batches for part in parts)])
    assert sorted(rows.tolist()) == list(range(num_rows))
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


def epoch_sizes(sizes: list[int], batch_size: int) -> list[int]:
    """Give the sizes of all batches of an epoch whose windows have some numbers of rows."""
    found, waiting = list[int](), 0
    for number, size in enumerate(sizes):
        waiting += size
        count = count_ready(waiting, batch_size, is_last=number == len(sizes) - 1)
        waiting -= count
        assignment = assign_batches(count, batch_size, np.random.default_rng(number))
        found += [len(assignment.part(b, 0, 1)) for b in range(assignment.num_batches)]
        assert waiting < 2 * batch_size  # what is carried on is bounded
    assert waiting == 0
    return found


@given(sizes=st.lists(st.integers(0, 99), min_size=1, max_size=12), batch_size=st.integers(1, 40))
def test_an_epoch_has_as_few_steps_as_its_images_allow(sizes: list[int], batch_size: int) -> None:
    found, total = epoch_sizes(sizes, batch_size), sum(sizes)
    assert sum(found) == total
    assert len(found) == -(-total // batch_size)
    assert max(found, default=0) <= batch_size
    if total >= batch_size:  # what is left at the end is shared, so no batch is tiny
        assert min(found) >= batch_size // 2
    # All are full but some of the last window, whose sizes differ by one at most.
    smaller = [size for size in found if size < batch_size]
    assert max(smaller, default=0) - min(smaller, default=0) <= 1


def test_few_labeled_images_make_full_batches() -> None:
    """A hundred windows of 2,048 images of which 0.5 % have a label."""
    sizes = np.random.default_rng(0).binomial(2048, 0.005, 100).tolist()
    found = epoch_sizes(sizes, 64)
    assert len(found) == -(-sum(sizes) // 64)
    assert np.mean(found) > 60


def test_a_worker_reads_its_own_shards() -> None:
    assignment = assign_batches(800, 32, np.random.default_rng(0))
    for rank in range(4):
        shards = rows_of(assignment, rank, 4) // 100
        assert set(shards.tolist()) == {2 * rank, 2 * rank + 1}


def test_batches_are_drawn_from_all_shards_of_the_window() -> None:
    assignment = assign_batches(800, 32, np.random.default_rng(0))
    for number in range(assignment.num_batches):
        counts = np.bincount(assignment.part(number, 0, 1) // 100, minlength=8)
        assert counts.min() >= 2
        assert counts.max() <= 6


@pytest.mark.parametrize("batch_size", [1, 2, 9])
def test_without_a_generator_rows_keep_their_order(batch_size: int) -> None:
    assert rows_of(assign_batches(5, batch_size, None)).tolist() == [0, 1, 2, 3, 4]


@given(num_shards=st.integers(0, 50), most=st.integers(1, 20), seed=st.integers(0, 9))
def test_windows_hold_every_shard_once(num_shards: int, most: int, seed: int) -> None:
    cut = windows(num_shards, most, np.random.default_rng(seed))
    assert sorted(np.concatenate(cut).tolist()) == list(range(num_shards))
    assert max(map(len, cut)) <= most
    assert max(map(len, cut)) - min(map(len, cut)) <= 1
    assert np.concatenate(windows(num_shards, most, None)).tolist() == list(range(num_shards))
