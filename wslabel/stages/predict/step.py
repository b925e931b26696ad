"""One group of shards through the trained networks that lack it; inputs are read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_column
from wslabel.engine.step import ItemResult
from wslabel.examples.inputs import Inputs
from wslabel.networks.factory import Builder
from wslabel.networks.trained import Predictor
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.workspace.images import read_images
from wslabel.workspace.shard_reader import FoldPart


@dataclass(frozen=True, kw_only=True)
class PredictItem:
    """One group, and the names of the files that networks lack.

    Attributes:
        key: Number of the group's first shard.
        shards: Shards that it covers.
        generations: Generation of each shard of the input.
        missing: Name of the file to make, by folder of the network.
    """

    key: int
    shards: tuple[int, ...]
    generations: tuple[int, ...]
    missing: Mapping[str, str]


@dataclass(frozen=True)
class JudgedInputs:
    """Inputs of some images of a shard.

    Attributes:
        values: Inputs of those images, in their order.
        is_judged_N: Which images of the shard these are.
    """

    values: np.ndarray
    is_judged_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A trained network, and where its predictions go.

    Attributes:
        location: Root of the workspace that holds it.
        file: Path of its file there.
        build: Builds the bare network.
        inputs: What it reads.
        output: Folder of its predictions.
        per_class: Whether it judges each class for itself.
        parts: Parts in all of which the images are that it learned from; it judges only the others.
    """

    location: Location
    file: str
    build: Builder
    inputs: Inputs
    output: str
    per_class: bool = False
    parts: tuple[FoldPart, ...] = ()

    def load(self) -> Predictor:
        """Load it on the device that this process may use."""
        data = self.location.read(self.file).to_pybytes()
        return Predictor(self.build, data, per_class=self.per_class)

    def read_judged(self, shard: int, values: np.ndarray, known_N: np.ndarray) -> JudgedInputs:
        """Take the inputs of the images of a shard that it has not learned from."""
        if not self.parts:
            return JudgedInputs(values, known_N)
        others_N = ~np.logical_and.reduce([part.mask(shard) for part in self.parts])
        return JudgedInputs(values[others_N[known_N]], known_N & others_N)


@dataclass(frozen=True)
class PredictStep:
    """The step: read inputs, run the networks, commit probabilities.

    Attributes:
        location: Root of the workspace.
        networks: Networks by their folder.
        num_classes: Number of their outputs.
    """

    location: Location
    networks: Mapping[str, TrainedNetwork]
    num_classes: int

    @cached_property
    def _predictors(self) -> dict[str, Predictor]:
        return {name: network.load() for name, network in self.networks.items()}

    def __call__(self, item: PredictItem) -> ItemResult:
        """Predict a group."""
        parts: dict[str, list[pa.Table]] = {name: [] for name in item.missing}
        num_images = 0
        for shard, generation in zip(item.shards, item.generations, strict=True):
            ids = read_images(self.location, [shard], ["image_id"]).column("image_id")
            num_images += len(ids)
            for name, table in self._predict(item, shard, generation, ids).items():
                parts[name].append(table)
        for name, tables in parts.items():
            Table(self.location, self.networks[name].output).commit(item.missing[name], tables)
        return ItemResult(item=item.key, num_images=num_images)

    def _predict(
        self, item: PredictItem, shard: int, generation: int, ids: pa.ChunkedArray
    ) -> dict[str, pa.Table]:
        """Run all networks of an item over a shard; what several of them read is read once."""
        read: dict[Inputs, tuple[np.ndarray, np.ndarray]] = {}
        tables = {}
        for name in item.missing:
            inputs = self.networks[name].inputs
            if inputs not in read:
                read[inputs] = inputs.read(shard, generation)
            judged = self.networks[name].read_judged(shard, *read[inputs])
            tables[name] = self._table(ids, judged, self._probabilities(name, judged.values))
        return tables

    def _probabilities(self, name: str, values: np.ndarray) -> np.ndarray:
        if not len(values):
            return np.zeros((0, self.num_classes), np.float32)
        return self._predictors[name](values)

    def _table(self, ids: pa.ChunkedArray, judged: JudgedInputs, probs_NK: np.ndarray) -> pa.Table:
        fields = schema.predictions(self.num_classes)
        rows, num_rows = np.flatnonzero(judged.is_judged_N), len(judged.is_judged_N)
        columns = [
            to_column(values, rows, num_rows, fields.field(index))
            for index, values in enumerate((probs_NK, probs_NK.argmax(axis=1)), start=1)
        ]
        return pa.Table.from_arrays([ids.combine_chunks(), *columns], schema=fields)
