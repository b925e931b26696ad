"""In which order images are learned from: the same batches however many workers share them."""

from dataclasses import dataclass

import numpy as np


def windows(num_shards: int, most: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Cut shards, in a random order or their own, into windows of nearly equal size.

    Args:
        num_shards: that there are.
        most: shards in a window, within which images are shuffled.
        rng: of the order; None keeps their own.
    """
    order = np.arange(num_shards) if rng is None else rng.permutation(num_shards)
    return np.array_split(order, max(1, -(-num_shards // most)))


@dataclass(frozen=True)
class Deal:
    """Which rows of a window are in which batch, and whose they are.

    Rows stand shard after shard. Each run of as many rows as there are batches is spread over all
    batches, in a random order. So all batches are of nearly one size whatever part of the rows is
    looked at, and worker r owns one stretch of rows: it reads its own shards alone, and its parts
    of all batches are of nearly one size too.

    Attributes:
        rows_N: row numbers; shuffled within their shard, the shards one after another.
        batch_N: the batch of each.
        num_batches: in this window.
    """

    rows_N: np.ndarray
    batch_N: np.ndarray
    num_batches: int

    def part(self, batch: int, rank: int, world_size: int) -> np.ndarray:
        """Give a worker's rows of a batch."""
        first, last = (r * len(self.rows_N) // world_size for r in (rank, rank + 1))
        mine = self.batch_N[first:last] == batch
        return np.asarray(self.rows_N[first:last][mine])


def deal(chosen: list[np.ndarray], batch_size: int, rng: np.random.Generator | None) -> Deal:
    """Deal the rows of a window into batches of at most `batch_size`, which differ by one at most.

    Args:
        chosen: the rows to learn from of each shard.
        batch_size: of all workers together.
        rng: of the order; None keeps the rows' own, in consecutive batches.
    """
    num_rows = sum(len(rows) for rows in chosen)
    num_batches = -(-num_rows // batch_size)
    if rng is None:
        batch_N = np.arange(num_rows) * num_batches // max(1, num_rows)
        return Deal(np.concatenate([np.zeros(0, int), *chosen]), batch_N, num_batches)
    rows_N = np.concatenate([np.zeros(0, int), *(rng.permutation(rows) for rows in chosen)])
    runs = -(-num_rows // max(1, num_batches))
    spread = rng.permuted(np.tile(np.arange(num_batches), (runs, 1)), axis=1)
    return Deal(rows_N, spread.reshape(-1)[:num_rows], num_batches)
