"""A window: the rows within which images are shuffled, and each worker's share of it.

What is learned of a window is read, and its batches are drawn, by every worker alike. Then each
loads the inputs of its own rows alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.inputs import Inputs
from wslabel.examples.sampler import BatchAssignment
from wslabel.training.augment import Changes, apply
from wslabel.training.batch import Batch


class Rows(NamedTuple):
    """Images that are learned from, piece after piece.

    Attributes:
        piece_N: Number of the piece that each is in.
        row_N: Row of its shard.
        targets_NK: Labels as probabilities.
        weights_N: What each image counts.
    """

    piece_N: np.ndarray
    row_N: np.ndarray
    targets_NK: np.ndarray
    weights_N: np.ndarray

    @property
    def num_rows(self) -> int:
        """Number of images."""
        return len(self.row_N)

    def take(self, chosen: slice | np.ndarray) -> "Rows":
        """Give some of them."""
        return Rows(*(column[chosen] for column in self))


def join(parts: Sequence[Rows]) -> Rows:
    """Put rows behind one another."""
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Window:
    """What all workers know of a window.

    Attributes:
        rows: Images, with what is learned of them.
        assignment: Which row is in which batch.
        changes: How the images are changed, one entry per view; empty where they are not.
    """

    rows: Rows
    assignment: BatchAssignment
    changes: Sequence[Changes]

    def needed(self, rank: int, world_size: int, first: int = 0) -> np.ndarray:
        """List the rows that a worker looks at, in ascending order.

        Args:
            rank: Number of the worker.
            world_size: Number of workers.
            first: Number of the first batch that is learned from.
        """
        batches = range(first, self.assignment.num_batches)
        rows = [self.assignment.seen(batch, rank, world_size) for batch in batches]
        return np.unique(np.concatenate([np.zeros(0, int), *rows]))

    def by_piece(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Go through pieces; give the number of each, and which of some rows are in it."""
        piece_of = self.rows.piece_N[rows]
        for piece in np.unique(piece_of).tolist():
            yield piece, np.flatnonzero(piece_of == piece)


@dataclass(frozen=True, kw_only=True)
class WorkerShare:
    """One worker's share of a window, with the stored inputs that it needs.

    Attributes:
        window: The window.
        rank: Number of the worker.
        world_size: Number of workers.
        first: Number of the first batch that is learned from.
        inputs: What the network reads.
        shard_N: Shard of each row of the window.
        needed: Rows that the worker looks at, in ascending order.
        stored: What is stored of each of these.
        decoded: Keeps decoded images for the next epoch.
    """

    window: Window
    rank: int
    world_size: int
    first: int
    inputs: Inputs
    shard_N: np.ndarray
    needed: np.ndarray
    stored: np.ndarray
    decoded: DecodedImages

    @property
    def batches(self) -> range:
        """Numbers of the batches that are learned from."""
        return range(self.first, self.window.assignment.num_batches)

    def batch(self, number: int) -> Batch:
        """Make the worker's part of a batch."""
        window, world_size = self.window, self.world_size
        parts = [window.assignment.part(number, rank, world_size) for rank in range(world_size)]
        rows = window.assignment.seen(number, self.rank, world_size)
        weights_N = window.rows.weights_N
        views = self._views(rows)
        return Batch(
            inputs=views[0],
            targets_NK=window.rows.targets_NK[rows],
            weights_N=weights_N[rows] * (len(parts[self.rank]) > 0),
            # In the order of the whole batch, so that rounding does not depend on the workers.
            total=float(weights_N[np.concatenate(parts)].sum(dtype=np.float64)),
            sizes=tuple(len(part) for part in parts),
            other=views[1] if len(views) > 1 else None,
        )

    def _views(self, rows: np.ndarray) -> list[np.ndarray]:
        stored = self.stored[np.searchsorted(self.needed, rows)]
        pairs = zip(self.shard_N[rows].tolist(), self.window.rows.row_N[rows].tolist(), strict=True)
        inputs = self.decoded.decode(self.inputs, stored, list(pairs))
        changed = [apply(inputs, changes.take(rows)) for changes in self.window.changes]
        return changed or [inputs]
