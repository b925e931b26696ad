"""Training examples from tables: inputs of one split beside truth or weak labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.features.decode import decode
from wslabel.settings import Preprocess
from wslabel.steps import doors
from wslabel.steps.group import GroupWork, read_images
from wslabel.steps.label import class_ids
from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name


@dataclass(frozen=True)
class Inputs:
    """What a network reads of one image: a stored embedding, or the pixels of its thumbnail."""

    workspace: Location
    folder: str
    preprocess: Preprocess | None = None

    def read(self, shard: int, generation: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the inputs of a shard's images, and which images have one."""
        column = "jpeg" if self.preprocess else "embedding"
        table = Table(self.workspace, self.folder).read(shard_name(shard, generation), [column])
        known_N = ~np.asarray(table.column(column).is_null())
        values = to_array(table.column(column))
        return (self._pixels(values) if self.preprocess else values), known_N

    def _pixels(self, jpegs_N: np.ndarray) -> np.ndarray:
        how = self.preprocess
        assert how is not None
        prepare = doors.room("features.resize").prepare
        blank = np.zeros((how.crop, how.crop, 3), np.uint8)
        pixels = [blank if j is None else prepare(decode(j, 2**31), how) for j in jpegs_N]
        return np.stack(pixels)


@dataclass(frozen=True)
class TableExamples:
    """The labeled images of one split; shards in a seeded order, images shuffled within a group.

    Attributes:
        inputs: what the network reads.
        works: groups of the input's shards.
        target: `original` for truth, `soft` or `hard` for weak labels.
        labels: folder of the weak labels, None for truth.
        label_files: file of the weak labels of each group.
        classes: names in the order of their ids.
        split: whose images these are.
        batch_size: of all workers together.
        seed: of the order; None keeps the tables' order.
    """

    inputs: Inputs
    works: Sequence[GroupWork]
    target: str
    labels: str | None
    label_files: Mapping[int, str]
    classes: tuple[str, ...]
    split: str
    batch_size: int
    seed: int | None = None

    def __call__(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through all images once; the last batch may be smaller."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, epoch])
        order = range(len(self.works)) if rng is None else rng.permutation(len(self.works))
        kept: tuple[np.ndarray, np.ndarray] | None = None
        for index in order:
            inputs, targets_NK = self._group(self.works[index], rng)
            if kept is not None:
                inputs, targets_NK = (
                    np.concatenate([kept[0], inputs]),
                    np.concatenate([kept[1], targets_NK]),
                )
            whole = len(inputs) // self.batch_size * self.batch_size
            for start in range(0, whole, self.batch_size):
                part = slice(start, start + self.batch_size)
                yield inputs[part], targets_NK[part]
            kept = inputs[whole:], targets_NK[whole:]
        if kept is not None and len(kept[0]):
            yield kept

    def _group(
        self, work: GroupWork, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        targets_NK, chosen_N = self._targets(work)
        parts, start = [], 0
        known_parts = []
        for shard, generation in zip(work.shards, work.generations["input"], strict=True):
            values, known_N = self.inputs.read(shard, generation)
            mine = chosen_N[start : start + len(known_N)] & known_N
            parts.append(values[mine])
            known_parts.append(mine)
            start += len(known_N)
        inputs, targets_NK = np.concatenate(parts), targets_NK[np.concatenate(known_parts)]
        if rng is not None:
            order = rng.permutation(len(inputs))
            inputs, targets_NK = inputs[order], targets_NK[order]
        return inputs, targets_NK

    def _targets(self, work: GroupWork) -> tuple[np.ndarray, np.ndarray]:
        """Give target probabilities, and which images of the group have some in this split."""
        workspace = self.inputs.workspace
        columns = ["split"] if self.labels is not None else ["split", schema.TRUTH]
        images = read_images(workspace, work.shards, columns)
        in_split_N = images.column("split").to_numpy() == self.split
        num_classes = len(self.classes)
        if self.labels is None:
            ids_N = class_ids(images.column(schema.TRUTH), self.classes)
            return one_hot(ids_N, num_classes), in_split_N & (ids_N >= 0)
        labels = Table(workspace, self.labels).read(
            self.label_files[work.key], ["probabilities", "label"]
        )
        return self._weak(labels, in_split_N)

    def _weak(self, labels: pa.Table, in_split_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.target == "hard":
            ids_N = to_array(labels.column("label"))
            return one_hot(ids_N, len(self.classes)), in_split_N & (ids_N >= 0)
        probs_NK = to_array(labels.column("probabilities"))
        return probs_NK, in_split_N & ~np.isnan(probs_NK[:, 0])


def one_hot(ids_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Turn class ids into probabilities; an id of -1 gives zeros.

    >>> one_hot(np.array([1, -1]), 2).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return np.asarray(ids_N[:, None] == np.arange(num_classes), np.float32)
