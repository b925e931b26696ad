"""Training examples from tables: inputs of some splits beside truth or weak labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.features.decode import decode
from wslabel.settings import Augmentations, Preprocess
from wslabel.steps import doors
from wslabel.steps.ahead import ahead
from wslabel.steps.label import class_ids
from wslabel.storage.location import Location
from wslabel.storage.table import GROUP_SIZE, PIECES, Table, error_count, piece, shard_name
from wslabel.training import labels as treatment
from wslabel.training.batch import Batch
from wslabel.training.order import deal, windows

SHUFFLED_PIECES = 32
"""Pieces of shards within which images are shuffled; a worker holds its part of two windows."""

KEPT_BYTES = 256 * 2**20
"""Decoded images that a process keeps for the next epoch; the first come stay."""

_kept: dict[tuple[object, ...], dict[tuple[int, int], np.ndarray]] = {}


@dataclass(frozen=True)
class Inputs:
    """What a network reads of one image: a stored embedding, or the pixels of its thumbnail."""

    workspace: Location
    folder: str
    preprocess: Preprocess | None = None

    @property
    def pieces(self) -> int:
        """Tell of how many pieces a shard is; thumbnails are too large to hold many shards."""
        return PIECES if self.preprocess else 1

    @property
    def _column(self) -> str:
        return "jpeg" if self.preprocess else "embedding"

    def known(self, shard: int, generation: int) -> np.ndarray:
        """Tell which images of a shard have an input."""
        table, name = Table(self.workspace, self.folder), shard_name(shard, generation)
        footer = table.footer(name)
        if not error_count(footer):
            return np.ones(footer.num_rows, bool)
        errors = table.read_rows(name, ["error"], slice(0, footer.num_rows))
        return np.asarray(errors.column("error").is_null())

    def load(self, shard: int, generation: int, rows: slice) -> np.ndarray:
        """Load what is stored of a piece of a shard: embeddings, or the bytes of thumbnails."""
        name = shard_name(shard, generation)
        table = Table(self.workspace, self.folder).read_rows(name, [self._column], rows)
        return to_array(table.column(self._column))

    def decoded(
        self, stored: np.ndarray, shard: int, rows: np.ndarray, first: int = 0
    ) -> np.ndarray:
        """Turn what is stored from a row of a shard on, as far as wanted, into network inputs."""
        how = self.preprocess
        if how is None:
            return np.asarray(stored[rows])
        kept = self._kept()
        prepare = doors.room("features.resize").prepare
        pixels = np.empty((len(rows), how.crop, how.crop, 3), np.uint8)
        for index, row in enumerate(rows.tolist()):
            found = kept.get((shard, first + row))
            if found is None:
                found = prepare(decode(stored[row], 2**31), how)
                if (len(kept) + 1) * pixels[0].nbytes <= KEPT_BYTES:
                    kept[shard, first + row] = found.copy()
            pixels[index] = found
        return pixels

    def _kept(self) -> dict[tuple[int, int], np.ndarray]:
        key = (self.workspace.root, self.folder, self.preprocess)
        if key not in _kept:
            _kept.clear()  # what another network read
        return _kept.setdefault(key, {})

    def read(self, shard: int, generation: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the inputs of those images of a shard that have one, and which these are."""
        known_N = self.known(shard, generation)
        rows = np.flatnonzero(known_N)
        stored = self.load(shard, generation, slice(0, len(known_N)))
        return self.decoded(stored, shard, rows), known_N


@dataclass(frozen=True)
class Column:
    """A group table of which training reads one shard at a time."""

    workspace: Location
    folder: str
    files: Mapping[int, str]

    def read(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one shard."""
        name = self.files[shard // GROUP_SIZE]
        first = int(name.partition("-")[0])
        # A group's file has one row group per shard there is; all of a group are consecutive.
        return Table(self.workspace, self.folder).read_row_group(name, shard - first, columns)

    def read_group(self, key: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of a whole group."""
        return Table(self.workspace, self.folder).read(self.files[key // GROUP_SIZE], columns)


@dataclass(frozen=True)
class Part:
    """The images of a fold, or all others: a column `fold` and a number in it."""

    column: Column
    fold: int
    is_held: bool

    def mask(self, shard: int) -> np.ndarray:
        """Tell which images of a shard belong to it."""
        folds_N = to_array(self.column.read(shard, ["fold"]).column("fold"))
        return np.asarray((folds_N == self.fold) == self.is_held)


@dataclass(frozen=True)
class Targets:
    """What networks learn of each image, and which images they learn from.

    Attributes:
        classes: names in the order of their ids.
        splits: whose images these are.
        kind: `original` for truth, `soft` or `hard` for weak labels, None for images alone.
        labels: the table of weak labels, None for truth.
        parts: of the images of these splits, those in all of which are meant.
        threshold: images whose weak label is less probable are left out.
        unlabeled: whether images without a label stay, with weight 0.
        smoothing: the share of each label that is spread, and its form.
        class_weights: of each class.
        by_confidence: whether images count by the probability of their label.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    kind: str | None
    labels: Column | None = None
    parts: tuple[Part, ...] = ()
    threshold: float = 0.0
    unlabeled: bool = False
    smoothing: tuple[float, str] = (0.0, "uniform")
    class_weights: tuple[float, ...] | None = None
    by_confidence: bool = False

    def read(self, workspace: Location, shard: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read a shard: targets [n, K], weights [n], and which images are learned from."""
        is_true = self.kind == "original"
        columns = ["split", schema.TRUTH] if is_true else ["split"]
        images = Table(workspace, "images").read(shard_name(shard), columns)
        mine_N = np.isin(images.column("split").to_numpy(), self.splits)
        for part in self.parts:
            mine_N &= part.mask(shard)
        if self.kind is None:
            return np.zeros((len(mine_N), 0), np.float32), np.ones(len(mine_N), np.float32), mine_N
        given_NK, confidence_N = self._truth(images) if is_true else self._weak(shard)
        sure_N = (confidence_N > 0) & (confidence_N >= self.threshold)
        weights_N = treatment.image_weights(
            given_NK, self.class_weights, confidence_N if self.by_confidence else None
        )
        smoothed_NK = treatment.smooth(given_NK, *self.smoothing).astype(np.float32)
        return smoothed_NK, weights_N * sure_N, mine_N & (sure_N | self.unlabeled)

    def _truth(self, images: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        ids_N = class_ids(images.column(schema.TRUTH), self.classes)
        return one_hot(ids_N, len(self.classes)), np.asarray(ids_N >= 0, np.float32)

    def _weak(self, shard: int) -> tuple[np.ndarray, np.ndarray]:
        assert self.labels is not None
        table = self.labels.read(shard, ["probabilities", "label"])
        probs_NK = to_array(table.column("probabilities"))
        confidence_N = treatment.confidence(probs_NK)
        if self.kind == "hard":
            ids_N = to_array(table.column("label"))
            return one_hot(ids_N, len(self.classes)), confidence_N * (ids_N >= 0)
        return np.nan_to_num(probs_NK, nan=0.0), confidence_N


@dataclass(frozen=True)
class TableExamples:
    """The examples of some splits; batches are the same however many workers share them.

    Attributes:
        inputs: what the network reads.
        shards: with their generation of the input.
        targets: what is learned, and of which images.
        batch_size: of all workers together.
        seed: of the order and of augmentations; None keeps the tables' order.
        augment: how images are changed; None leaves them.
        views: 2 where two augmentations of each image are wanted.
        threads: that decode ahead.
    """

    inputs: Inputs
    shards: Sequence[tuple[int, int]]
    targets: Targets
    batch_size: int
    seed: int | None = None
    augment: Augmentations | None = None
    views: int = 1
    threads: int = 2

    def __call__(self, epoch: int, rank: int, world_size: int) -> Iterator[Batch]:
        """Go through a worker's part of all batches of an epoch."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, epoch])
        cut = windows(len(self.shards) * self.inputs.pieces, SHUFFLED_PIECES, rng)
        loads = [
            partial(_Window, self, order, (epoch, number), (rank, world_size))
            for number, order in enumerate(cut)
        ]
        jobs = (job for window in ahead(loads, 1, spare=0) for job in window.jobs())
        yield from ahead(jobs, self.threads)


class _Window:
    """Some pieces of shards of an epoch, as far as one worker needs them."""

    def __init__(
        self,
        examples: TableExamples,
        order: np.ndarray,
        when: tuple[int, int],
        who: tuple[int, int],
    ) -> None:
        self._examples, self._who = examples, who
        self._rng = None
        if examples.seed is not None:
            self._rng = np.random.default_rng([examples.seed, *when])
        self._read_targets(order)
        self._deal = deal(self._chosen, examples.batch_size, self._rng)
        self._draw()
        self._load()

    def _read_targets(self, order: np.ndarray) -> None:
        """Read the targets of all pieces; a row of the window is a row of them put together."""
        examples, pieces = self._examples, self._examples.inputs.pieces
        shards = {index: self._shard(index) for index in sorted({*(order // pieces).tolist()})}
        targets, weights, self._chosen, self._starts = [], [], [], [0]
        self._places: list[tuple[int, int, slice]] = []
        for index, number in zip(*np.divmod(order, pieces), strict=True):
            targets_NK, weights_N, chosen_N = shards[int(index)]
            rows = piece(len(chosen_N), int(number), pieces)
            self._places.append((*examples.shards[index], rows))
            targets.append(targets_NK[rows])
            weights.append(weights_N[rows])
            self._chosen.append(self._starts[-1] + np.flatnonzero(chosen_N[rows]))
            self._starts.append(self._starts[-1] + rows.stop - rows.start)
        self._targets_NK, self._weights_N = np.concatenate(targets), np.concatenate(weights)

    def _shard(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inputs, (shard, generation) = self._examples.inputs, self._examples.shards[index]
        targets_NK, weights_N, mine_N = self._examples.targets.read(inputs.workspace, shard)
        return targets_NK, weights_N, mine_N & inputs.known(shard, generation)

    def _draw(self) -> None:
        """Draw the changes of all images of the window, whoever makes them."""
        self._changes: list[Any] = []
        examples = self._examples
        if examples.augment is not None and self._rng is not None:
            draw = doors.room("training.augment").draw
            self._changes = [
                draw(examples.augment, self._starts[-1], self._rng) for _ in range(examples.views)
            ]

    def _load(self) -> None:
        """Load the stored inputs of those pieces in which this worker has rows."""
        rank, world_size = self._who
        parts = [self._part(batch, rank, world_size) for batch in range(self._deal.num_batches)]
        self._mine = parts
        rows = np.concatenate([np.zeros(0, int), *parts])
        needed = np.unique(self._piece_of(rows)).tolist()
        self._stored = {i: self._examples.inputs.load(*self._places[i]) for i in needed}

    def _piece_of(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.searchsorted(self._starts, rows, side="right") - 1)

    def _part(self, batch: int, rank: int, world_size: int) -> np.ndarray:
        rows = self._deal.part(batch, rank, world_size)
        if len(rows):
            return rows
        # Of fewer images than workers some get none; they look at one that counts nothing.
        return np.asarray(self._deal.rows_N[:1])

    def jobs(self) -> Iterator[Callable[[], Batch]]:
        """Give the work of making each batch."""
        for number in range(self._deal.num_batches):
            yield partial(self._batch, number)

    def _batch(self, number: int) -> Batch:
        rank, world_size = self._who
        rows = self._mine[number]
        parts = [self._deal.part(number, r, world_size) for r in range(world_size)]
        weights_N = self._weights_N[rows] * (len(parts[rank]) > 0)
        inputs = self._inputs(rows)
        views = [self._augmented(inputs, rows, changes) for changes in self._changes] or [inputs]
        # In the order of the whole batch, so that rounding does not depend on the workers either.
        total = float(self._weights_N[np.concatenate(parts)].sum(dtype=np.float64))
        sizes = tuple(len(part) for part in parts)
        other = views[1] if len(views) > 1 else None
        return Batch(views[0], self._targets_NK[rows], weights_N, total, sizes, other)

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        piece_of = self._piece_of(rows)
        whole: np.ndarray | None = None
        for index in np.unique(piece_of).tolist():
            mine = piece_of == index
            shard, _, place = self._places[index]
            inside = rows[mine] - self._starts[index]
            found = self._examples.inputs.decoded(self._stored[index], shard, inside, place.start)
            if whole is None:
                whole = np.empty((len(rows), *found.shape[1:]), found.dtype)
            whole[mine] = found
        assert whole is not None
        return whole

    def _augmented(self, inputs: np.ndarray, rows: np.ndarray, changes: Any) -> np.ndarray:
        found: np.ndarray = doors.room("training.augment").apply(inputs, changes.take(rows))
        return found


def one_hot(ids_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Turn class ids into probabilities; an id of -1 gives zeros.

    >>> one_hot(np.array([1, -1]), 2).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return np.asarray(ids_N[:, None] == np.arange(num_classes), np.float32)
