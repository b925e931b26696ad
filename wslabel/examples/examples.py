"""Training examples from tables: inputs of some splits beside truth or weak labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wslabel.config.optimization import Augmentations
from wslabel.engine.prefetch import prefetch
from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.inputs import Inputs
from wslabel.examples.sampler import assign_batches, windows
from wslabel.examples.targets import ShardTargets, Targets
from wslabel.examples.window import Piece, Window, WindowTargets, WorkerShare, join
from wslabel.storage.table import piece
from wslabel.training.augment import Changes, draw
from wslabel.training.batch import Batch

SHUFFLED_PIECES = 32
"""Pieces of shards within which images are shuffled; a worker holds its part of two windows."""

SPARE_BATCHES = 2
"""Batches that may wait for the training step, beside those that threads are making."""


@dataclass(frozen=True, kw_only=True)
class TableExamples:
    """The examples of some splits; batches are the same however many workers share them.

    Attributes:
        inputs: What the network reads.
        shards: Shards, each with its generation of the input.
        targets: What is learned, and of which images.
        batch_size: Most images of a batch, of all workers together.
        seed: Seed of the order and of augmentations; None keeps the tables' order.
        augment: How images are changed; None leaves them.
        views: 2 where two augmentations of each image are wanted.
        threads: Number of threads that decode ahead.
        decoded: Keeps decoded images for the next epoch; other examples may share it.
    """

    inputs: Inputs
    shards: Sequence[tuple[int, int]]
    targets: Targets
    batch_size: int
    seed: int | None = None
    augment: Augmentations | None = None
    views: int = 1
    threads: int = 2
    decoded: DecodedImages = field(default_factory=DecodedImages, compare=False)

    def __call__(self, epoch: int, rank: int, world_size: int) -> Iterator[Batch]:
        """Go through a worker's part of all batches of an epoch."""
        rng = self._generator(epoch)
        orders = windows(len(self.shards) * self.inputs.pieces, SHUFFLED_PIECES, rng)

        def load(numbered: tuple[int, np.ndarray]) -> WorkerShare:
            number, order = numbered
            window = self._window(order, self._generator(epoch, number))
            return self._share(window, rank, world_size)

        shares = prefetch(load, enumerate(orders), threads=1, ahead=1)
        jobs = ((s, n) for s in shares for n in range(s.window.assignment.num_batches))
        yield from prefetch(_make, jobs, threads=self.threads, ahead=self.threads + SPARE_BATCHES)

    def _generator(self, *when: int) -> np.random.Generator | None:
        """Make the generator of an epoch, or of a window of it; None keeps the tables' order."""
        return None if self.seed is None else np.random.default_rng([self.seed, *when])

    def _window(self, order: np.ndarray, rng: np.random.Generator | None) -> Window:
        """Read what is learned of some pieces and draw the batches, the same for all workers."""
        pieces, targets = self._read(order)
        assignment = assign_batches(targets.chosen, self.batch_size, rng)
        changes = self._draw(len(targets.weights_N), rng)
        return Window(pieces=pieces, targets=targets, assignment=assignment, changes=changes)

    def _read(self, order: np.ndarray) -> tuple[list[Piece], WindowTargets]:
        of = self.inputs.pieces
        shards = {index: self._targets(index) for index in np.unique(order // of).tolist()}
        pieces, parts = [], []
        for index, number in zip((order // of).tolist(), (order % of).tolist(), strict=True):
            whole = shards[index]
            rows = piece(len(whole.weights_N), number, of)
            shard, generation = self.shards[index]
            pieces.append(Piece(shard, generation, rows))
            parts.append(ShardTargets(*(column[rows] for column in whole)))
        return pieces, join(parts)

    def _targets(self, index: int) -> ShardTargets:
        """Read the targets of a shard; images without an input are not learned from."""
        shard, generation = self.shards[index]
        targets = self.targets.read(self.inputs.location, shard)
        is_known_N = self.inputs.known(shard, generation)
        return targets._replace(is_chosen_N=targets.is_chosen_N & is_known_N)

    def _draw(self, num_rows: int, rng: np.random.Generator | None) -> list[Changes]:
        """Draw the changes of all images of a window, whoever makes them."""
        if self.augment is None or rng is None:
            return []
        return [draw(self.augment, num_rows, rng) for _ in range(self.views)]

    def _share(self, window: Window, rank: int, world_size: int) -> WorkerShare:
        """Load the stored inputs of those pieces in which a worker has rows."""
        needed = window.pieces_of(rank, world_size)
        return WorkerShare(
            window=window,
            rank=rank,
            world_size=world_size,
            inputs=self.inputs,
            stored={index: self._load(window.pieces[index]) for index in needed},
            decoded=self.decoded,
        )

    def _load(self, part: Piece) -> np.ndarray:
        return self.inputs.load(part.shard, part.generation, part.rows)


def _make(job: tuple[WorkerShare, int]) -> Batch:
    share, number = job
    return share.batch(number)
