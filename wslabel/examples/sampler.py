"""In which order images are learned from: the same batches however many workers share them.

The images of an epoch stand in one line, piece after piece. A window is as much of the line as is
read at once. It gives whole batches, and what is left over waits for the next window, so an epoch
has as few steps as its images allow, however few of them have a label.
"""

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


def count_ready(num_rows: int, batch_size: int, *, is_last: bool) -> int:
    """Say how many rows at the head of the line are learned from before more of it is read.

    These are whole batches, and at least as much as one more stays behind: at the end of the epoch
    the last batches share evenly what is left, so that none is of a single image.

    Args:
        num_rows: Number of rows that wait.
        batch_size: Most images of a batch.
        is_last: Whether the line ends with them.

    >>> count_ready(70, 32, is_last=False), count_ready(70, 32, is_last=True)
    (32, 70)
    """
    return num_rows if is_last else max(0, num_rows // batch_size - 1) * batch_size


@dataclass(frozen=True)
class BatchAssignment:
    """Which rows of a window are in which batch, and whose they are.

    Rows stand piece after piece. Each run of as many rows as there are batches is spread over all
    batches, in a random order. So all batches are of nearly one size whatever part of the rows is
    looked at, and worker r owns one stretch of rows: it reads its own pieces alone, and its parts
    of all batches are of nearly one size too.

    Attributes:
        batch_N: Batch of each row.
        num_batches: Number of batches in this window.
    """

    batch_N: np.ndarray
    num_batches: int

    def part(self, batch: int, rank: int, world_size: int) -> np.ndarray:
        """Give a worker's rows of a batch."""
        first, last = (r * len(self.batch_N) // world_size for r in (rank, rank + 1))
        return first + np.flatnonzero(self.batch_N[first:last] == batch)

    def seen(self, batch: int, rank: int, world_size: int) -> np.ndarray:
        """Give the rows that a worker looks at in a batch: its own, or one that counts nothing.

        Of a batch of fewer images than workers some workers get none; but all must take part.
        """
        rows = self.part(batch, rank, world_size)
        return rows if len(rows) else np.zeros(1, int)


def assign_batches(
    num_rows: int, batch_size: int, rng: np.random.Generator | None
) -> BatchAssignment:
    """Assign the rows of a window to batches whose sizes differ by one at most.

    Args:
        num_rows: Number of rows to learn from.
        batch_size: Most images of a batch, of all workers together.
        rng: Draws the order; None keeps the rows' own, in consecutive batches.
    """
    num_batches = -(-num_rows // batch_size)
    if rng is None:
        return BatchAssignment(np.arange(num_rows) * num_batches // max(1, num_rows), num_batches)
    runs = -(-num_rows // max(1, num_batches))
    spread = rng.permuted(np.tile(np.arange(num_batches), (runs, 1)), axis=1)
    return BatchAssignment(spread.reshape(-1)[:num_rows], num_batches)
