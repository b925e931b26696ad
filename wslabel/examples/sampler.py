"""In which order images are learned from: the same batches however many workers share them."""

from dataclasses import dataclass

import numpy as np


def windows(num_pieces: int, most: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Cut pieces of shards, in a random order or their own, into windows of nearly equal size.

    Args:
        num_pieces: Number of pieces of all shards.
        most: Number of pieces in a window, within which images are shuffled.
        rng: Draws the order; None keeps the pieces' own.
    """
    order = np.arange(num_pieces) if rng is None else rng.permutation(num_pieces)
    return np.array_split(order, max(1, -(-num_pieces // most)))


@dataclass(frozen=True)
class BatchAssignment:
    """Which rows of a window are in which batch, and whose they are.

    Rows stand piece after piece. Each run of as many rows as there are batches is spread over all
    batches, in a random order. So all batches are of nearly one size whatever part of the rows is
    looked at, and worker r owns one stretch of rows: it reads its own pieces alone, and its parts
    of all batches are of nearly one size too.

    Attributes:
        rows_N: Row numbers, shuffled within their piece, the pieces one after another.
        batch_N: Batch of each row.
        num_batches: Number of batches in this window.
    """

    rows_N: np.ndarray
    batch_N: np.ndarray
    num_batches: int

    def part(self, batch: int, rank: int, world_size: int) -> np.ndarray:
        """Give a worker's rows of a batch."""
        first, last = (r * len(self.rows_N) // world_size for r in (rank, rank + 1))
        is_in_batch = self.batch_N[first:last] == batch
        return np.asarray(self.rows_N[first:last][is_in_batch])

    def seen(self, batch: int, rank: int, world_size: int) -> np.ndarray:
        """Give the rows that a worker looks at in a batch: its own, or one that counts nothing.

        Of a batch of fewer images than workers some workers get none; but all must take part.
        """
        rows = self.part(batch, rank, world_size)
        return rows if len(rows) else np.asarray(self.rows_N[:1])


def assign_batches(
    chosen: list[np.ndarray], batch_size: int, rng: np.random.Generator | None
) -> BatchAssignment:
    """Assign the rows of a window to batches whose sizes differ by one at most.

    Args:
        chosen: Rows to learn from, of each piece.
        batch_size: Most images of a batch, of all workers together.
        rng: Draws the order; None keeps the rows' own, in consecutive batches.
    """
    num_rows = sum(len(rows) for rows in chosen)
    num_batches = -(-num_rows // batch_size)
    if rng is None:
        batch_N = np.arange(num_rows) * num_batches // max(1, num_rows)
        return BatchAssignment(np.concatenate([np.zeros(0, int), *chosen]), batch_N, num_batches)
    rows_N = np.concatenate([np.zeros(0, int), *(rng.permutation(rows) for rows in chosen)])
    runs = -(-num_rows // max(1, num_batches))
    spread = rng.permuted(np.tile(np.arange(num_batches), (runs, 1)), axis=1)
    return BatchAssignment(rows_N, spread.reshape(-1)[:num_rows], num_batches)
