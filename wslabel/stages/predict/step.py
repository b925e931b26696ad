"""One group of shards through the trained networks that lack it; inputs are read once.

There may be hundreds of networks. So some shards are read, and each network judges all of these
before the next ones are read; and of the networks only those stay loaded that were used last.
"""

from collections.abc import Iterator, Mapping, Sequence
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

READ_BYTES = 256 * 2**20
"""Of inputs that a process holds at once; the shard that comes to it is read whole."""

LOADED_BYTES = 256 * 2**20
"""Of networks that a process holds at once; one there always is."""

SAID_BYTES = 512 * 2**20
"""Of what networks say of a group that a process holds before it is committed."""


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
        return Predictor(self.build, data, per_class=self.per_class, name=self.file)

    def read_judged(self, shard: int, values: np.ndarray, known_N: np.ndarray) -> JudgedInputs:
        """Take the inputs of the images of a shard that it has not learned from."""
        if not self.parts:
            return JudgedInputs(values, known_N)
        others_N = ~np.logical_and.reduce([part.mask(shard) for part in self.parts])
        return JudgedInputs(values[others_N[known_N]], known_N & others_N)


class LoadedNetworks:
    """The trained networks that were used last, as many as may be held."""

    def __init__(self, networks: Mapping[str, TrainedNetwork]) -> None:
        """Load none yet."""
        self._networks = networks
        self._kept: dict[str, Predictor] = {}

    def __len__(self) -> int:
        """Count the networks that are loaded."""
        return len(self._kept)

    def __getitem__(self, name: str) -> Predictor:
        """Give a network, loaded if it is not there; those that were not used for longest go."""
        predictor = self._kept.pop(name, None) or self._networks[name].load()
        self._kept[name] = predictor
        held = sum(kept.num_bytes for kept in self._kept.values())
        while held > LOADED_BYTES and len(self._kept) > 1:
            held -= self._kept.pop(next(iter(self._kept))).num_bytes
        return predictor


@dataclass(frozen=True)
class ReadShard:
    """What networks read of one shard.

    Attributes:
        shard: Number of the shard.
        ids: Ids of its images.
        inputs: Inputs of those images that have one, and which these are, by what is read.
    """

    shard: int
    ids: pa.Array
    inputs: Mapping[Inputs, tuple[np.ndarray, np.ndarray]]

    @property
    def num_bytes(self) -> int:
        """Memory that the inputs take."""
        return sum(values.nbytes for values, _ in self.inputs.values())


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
    def loaded(self) -> LoadedNetworks:
        """The networks that are loaded; actors keep them for the next group."""
        return LoadedNetworks(self.networks)

    def __call__(self, item: PredictItem) -> ItemResult:
        """Predict a group."""
        images = [read_images(self.location, [shard], ["image_id"]) for shard in item.shards]
        ids = [table.column("image_id").combine_chunks() for table in images]
        num_images = sum(map(len, ids))
        names = list(item.missing)
        # Of so many classes that their probabilities fill the memory, inputs are read anew.
        most = max(1, SAID_BYTES // max(1, 4 * (self.num_classes + 1) * num_images))
        for first in range(0, len(names), most):
            self._predict(item, ids, names[first : first + most])
        return ItemResult(item=item.key, num_images=num_images)

    def _predict(self, item: PredictItem, ids: Sequence[pa.Array], names: list[str]) -> None:
        """Run some networks over a group, and commit what they say."""
        parts: dict[str, list[pa.Table]] = {name: [] for name in names}
        for shards in self._read(item, ids, names):
            for name in names:
                parts[name] += [self._judge(name, shard) for shard in shards]
            names = names[::-1]  # those that were used last are loaded still
        for name, tables in parts.items():
            Table(self.location, self.networks[name].output).commit(item.missing[name], tables)

    def _read(
        self, item: PredictItem, ids: Sequence[pa.Array], names: Sequence[str]
    ) -> Iterator[list[ReadShard]]:
        """Read each shard once, and give as many at a time as may be held."""
        wanted = {self.networks[name].inputs for name in names}
        held: list[ReadShard] = []
        for shard, generation, own in zip(item.shards, item.generations, ids, strict=True):
            read = {inputs: inputs.read(shard, generation) for inputs in wanted}
            held.append(ReadShard(shard, own, read))
            if sum(one.num_bytes for one in held) >= READ_BYTES:
                yield held
                held = []
        if held:
            yield held

    def _judge(self, name: str, read: ReadShard) -> pa.Table:
        network = self.networks[name]
        judged = network.read_judged(read.shard, *read.inputs[network.inputs])
        probs_NK = np.zeros((0, self.num_classes), np.float32)
        if len(judged.values):
            probs_NK = self.loaded[name](judged.values)
        return self._table(read.ids, judged, probs_NK)

    def _table(self, ids: pa.Array, judged: JudgedInputs, probs_NK: np.ndarray) -> pa.Table:
        fields = schema.predictions(self.num_classes)
        rows, num_rows = np.flatnonzero(judged.is_judged_N), len(judged.is_judged_N)
        columns = [
            to_column(values, rows, num_rows, fields.field(index))
            for index, values in enumerate((probs_NK, probs_NK.argmax(axis=1)), start=1)
        ]
        return pa.Table.from_arrays([ids, *columns], schema=fields)
