"""A window: the pieces of shards within which images are shuffled, and each worker's share of it.

What is learned of a window is read, and its batches are drawn, by every worker alike. Then each
loads the inputs of its own rows alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.inputs import Inputs
from wslabel.examples.sampler import BatchAssignment
from wslabel.examples.targets import ShardTargets
from wslabel.training.augment import Changes, apply
from wslabel.training.batch import Batch


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows of a shard.

    Attributes:
        shard: Number of the shard.
        generation: Generation of the input's shard.
        rows: Rows of the shard.
    """

    shard: int
    generation: int
    rows: slice


@dataclass(frozen=True, kw_only=True)
class WindowTargets:
    """What is learned of the rows of a window, which are the rows of its pieces put together.

    Attributes:
        starts: Row of the window that each piece begins with; at the end, the number of rows.
        targets_NK: Labels as probabilities.
        weights_N: What each image counts.
        chosen: Rows of the window that are learned from, of each piece.
    """

    starts: np.ndarray
    targets_NK: np.ndarray
    weights_N: np.ndarray
    chosen: list[np.ndarray]

    def piece_of(self, rows: np.ndarray) -> np.ndarray:
        """Tell in which piece each row of the window is."""
        return np.asarray(np.searchsorted(self.starts, rows, side="right") - 1)


def join(parts: Sequence[ShardTargets]) -> WindowTargets:
    """Put the targets of the pieces of a window together."""
    starts = np.cumsum([0, *(len(part.weights_N) for part in parts)])
    return WindowTargets(
        starts=starts,
        targets_NK=np.concatenate([part.targets_NK for part in parts]),
        weights_N=np.concatenate([part.weights_N for part in parts]),
        chosen=[
            first + np.flatnonzero(part.is_chosen_N)
            for part, (first, _) in zip(parts, pairwise(starts.tolist()), strict=True)
        ],
    )


@dataclass(frozen=True, kw_only=True)
class Window:
    """What all workers know of a window.

    Attributes:
        pieces: Pieces of shards that it consists of.
        targets: What is learned of their rows.
        assignment: Which row is in which batch.
        changes: How the images are changed, one entry per view; empty where they are not.
    """

    pieces: Sequence[Piece]
    targets: WindowTargets
    assignment: BatchAssignment
    changes: Sequence[Changes]

    def pieces_of(self, rank: int, world_size: int) -> list[int]:
        """List the pieces that hold rows which a worker looks at."""
        batches = range(self.assignment.num_batches)
        rows = [self.assignment.seen(batch, rank, world_size) for batch in batches]
        pieces = self.targets.piece_of(np.concatenate([np.zeros(0, int), *rows]))
        return [int(piece) for piece in np.unique(pieces)]


@dataclass(frozen=True, kw_only=True)
class WorkerShare:
    """One worker's share of a window, with the stored inputs that it needs.

    Attributes:
        window: The window.
        rank: Number of the worker.
        world_size: Number of workers.
        inputs: What the network reads.
        stored: What is stored of the rows of each piece that the worker needs.
        decoded: Keeps decoded images for the next epoch.
    """

    window: Window
    rank: int
    world_size: int
    inputs: Inputs
    stored: Mapping[int, np.ndarray]
    decoded: DecodedImages

    def batch(self, number: int) -> Batch:
        """Make the worker's part of a batch."""
        window, world_size = self.window, self.world_size
        parts = [window.assignment.part(number, rank, world_size) for rank in range(world_size)]
        rows = window.assignment.seen(number, self.rank, world_size)
        weights_N = window.targets.weights_N
        views = self._views(rows)
        return Batch(
            inputs=views[0],
            targets_NK=window.targets.targets_NK[rows],
            weights_N=weights_N[rows] * (len(parts[self.rank]) > 0),
            # In the order of the whole batch, so that rounding does not depend on the workers.
            total=float(weights_N[np.concatenate(parts)].sum(dtype=np.float64)),
            sizes=tuple(len(part) for part in parts),
            other=views[1] if len(views) > 1 else None,
        )

    def _views(self, rows: np.ndarray) -> list[np.ndarray]:
        inputs = self._inputs(rows)
        changed = [apply(inputs, changes.take(rows)) for changes in self.window.changes]
        return changed or [inputs]

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        piece_of = self.window.targets.piece_of(rows)
        masks = {int(piece): piece_of == piece for piece in np.unique(piece_of)}
        parts = {piece: self._of_piece(piece, rows[mask]) for piece, mask in masks.items()}
        first = next(iter(parts.values()))
        inputs = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for piece, mask in masks.items():
            inputs[mask] = parts[piece]
        return inputs

    def _of_piece(self, index: int, rows: np.ndarray) -> np.ndarray:
        piece = self.window.pieces[index]
        inside = rows - self.window.targets.starts[index]
        keys = [(piece.shard, row) for row in (piece.rows.start + inside).tolist()]
        return self.decoded.decode(self.inputs, self.stored[index][inside], keys)
