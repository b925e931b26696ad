"""Training examples from tables: inputs of some splits beside truth or weak labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wslabel.config.optimization import Augmentations
from wslabel.engine.prefetch import prefetch
from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.inputs import Inputs
from wslabel.examples.sampler import assign_batches, count_ready, windows
from wslabel.examples.targets import ShardTargets, Targets
from wslabel.examples.window import Rows, Window, WorkerShare, join
from wslabel.storage.table import piece
from wslabel.training.augment import Changes, draw
from wslabel.training.batch import Batch

SHUFFLED_PIECES = 32
"""Pieces of shards within which images are shuffled; a worker holds its part of two windows, and
what is learned of fewer than two batches more."""

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

    def __call__(self, epoch: int, rank: int, world_size: int, first: int = 0) -> Iterator[Batch]:
        """Go through a worker's part of the batches of an epoch; see `Examples`."""
        orders = self._orders(epoch)
        going = self._shares(epoch, rank, world_size, first)
        # One thread goes through the windows; there are at most as many shares as windows.
        shares = prefetch(lambda _: next(going, None), orders, threads=1, ahead=1)
        jobs = ((s, n) for s in shares if s is not None for n in s.batches)
        yield from prefetch(_make, jobs, threads=self.threads, ahead=self.threads + SPARE_BATCHES)

    def _orders(self, epoch: int) -> list[np.ndarray]:
        """Draw which pieces are read at once."""
        num_pieces = len(self.shards) * self.inputs.pieces
        return windows(num_pieces, SHUFFLED_PIECES, self._generator(epoch))

    def _generator(self, *when: int) -> np.random.Generator | None:
        """Make the generator of an epoch, or of a window of it; None keeps the tables' order."""
        return None if self.seed is None else np.random.default_rng([self.seed, *when])

    def _shares(self, epoch: int, rank: int, world_size: int, first: int) -> Iterator[WorkerShare]:
        """Load a worker's share of each window; of windows before the first batch load nothing."""
        for window in self._windows(epoch):
            num_batches = window.assignment.num_batches
            if first < num_batches:
                yield self._share(window, rank, world_size, first)
            first = max(0, first - num_batches)

    def _windows(self, epoch: int) -> Iterator[Window]:
        """Read what is learned, and draw the batches, the same for all workers."""
        orders, waiting = self._orders(epoch), list[Rows]()
        for number, order in enumerate(orders):
            rng = self._generator(epoch, number)
            line = join([*waiting, *self._read(order, rng)])
            is_last = number == len(orders) - 1
            count = count_ready(line.num_rows, self.batch_size, is_last=is_last)
            if count:
                yield Window(
                    rows=line.take(slice(count)),
                    assignment=assign_batches(count, self.batch_size, rng),
                    changes=self._draw(count, rng),
                )
            waiting = [line.take(slice(count, None))]

    def _read(self, order: np.ndarray, rng: np.random.Generator | None) -> list[Rows]:
        """Read what is learned of some pieces, their rows in a random order or their own."""
        of = self.inputs.pieces
        shards = {index: self._targets(index) for index in np.unique(order // of).tolist()}
        parts = []
        for number in order.tolist():
            whole = shards[number // of]
            inside = piece(len(whole.weights_N), number % of, of)
            rows = inside.start + np.flatnonzero(whole.is_chosen_N[inside])
            rows = rows if rng is None else rng.permutation(rows)
            own = np.full(len(rows), number)
            parts.append(Rows(own, rows, whole.targets_NK[rows], whole.weights_N[rows]))
        return parts

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

    def _share(self, window: Window, rank: int, world_size: int, first: int) -> WorkerShare:
        """Load the stored inputs of those rows that a worker looks at."""
        needed = window.needed(rank, world_size, first)
        parts = [
            (at, self._load(number, window.rows.row_N[needed[at]]))
            for number, at in window.by_piece(needed)
        ]
        of_first = parts[0][1]
        stored = np.empty((len(needed), *of_first.shape[1:]), of_first.dtype)
        for at, values in parts:
            stored[at] = values
        shards = np.array([shard for shard, _ in self.shards])
        return WorkerShare(
            window=window,
            rank=rank,
            world_size=world_size,
            first=first,
            inputs=self.inputs,
            shard_N=shards[window.rows.piece_N // self.inputs.pieces],
            needed=needed,
            stored=stored,
            decoded=self.decoded,
        )

    def _load(self, number: int, rows: np.ndarray) -> np.ndarray:
        """Load what is stored of some rows of a piece, and keep nothing of its other rows."""
        shard, generation = self.shards[number // self.inputs.pieces]
        start = int(rows.min())
        values = self.inputs.load(shard, generation, slice(start, int(rows.max()) + 1))
        return np.asarray(values[rows - start])


def _make(job: tuple[WorkerShare, int]) -> Batch:
    share, number = job
    return share.batch(number)
