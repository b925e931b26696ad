"""One group of shards through the trained networks that lack it; inputs are read once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_column
from wslabel.engine.work import Receipt
from wslabel.steps import doors
from wslabel.steps.examples import Inputs, Part
from wslabel.steps.group import read_images
from wslabel.steps.tables import Derived, Network, Tables
from wslabel.steps.train import network_maker
from wslabel.storage.location import Location
from wslabel.storage.table import Table


@dataclass(frozen=True)
class PredictWork:
    """One group, and the names of the files that networks lack, by network.

    Attributes:
        key: of the group.
        shards: that it covers.
        generations: of the input's shards.
        lacking: file to make, by network.
    """

    key: int
    shards: tuple[int, ...]
    generations: tuple[int, ...]
    lacking: Mapping[str, str]


@dataclass(frozen=True)
class Trained:
    """A network that was trained, and where its predictions go.

    Attributes:
        home: where its file is.
        file: that holds it.
        make: builds the bare network.
        inputs: what it reads.
        output: folder of its predictions.
        per_class: whether it judges each class for itself.
        parts: in all of which the images are that it learned from; it judges only the others.
    """

    home: Location
    file: str
    make: Callable[[], Any]
    inputs: Inputs
    output: str
    per_class: bool = False
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Predict:
    """The step: read inputs, run the networks, commit probabilities.

    Attributes:
        workspace: where tables are.
        networks: by name.
        num_classes: of their outputs.
    """

    workspace: Location
    networks: Mapping[str, Trained]
    num_classes: int

    @cached_property
    def _predictors(self) -> dict[str, Any]:
        predictor = doors.room("training.networks").Predictor
        return {
            name: predictor(one.make, one.home.read(one.file).to_pybytes(), per_class=one.per_class)
            for name, one in self.networks.items()
        }

    def prepare(self, item: PredictWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: PredictWork, prepared: None) -> Receipt:
        """Predict a group."""
        parts: dict[str, list[pa.Table]] = {name: [] for name in item.lacking}
        num_images = 0
        for shard, generation in zip(item.shards, item.generations, strict=True):
            ids = read_images(self.workspace, [shard], ["image_id"]).column("image_id")
            num_images += len(ids)
            read: dict[Inputs, tuple[np.ndarray, np.ndarray]] = {}
            for name, tables in parts.items():
                inputs = self.networks[name].inputs
                if inputs not in read:
                    read[inputs] = inputs.read(shard, generation)
                tables.append(self._predict(name, shard, ids, *read[inputs]))
        for name, tables in parts.items():
            table = Table(self.workspace, self.networks[name].output)
            table.commit(item.lacking[name], tables)
        return Receipt(item.key, num_images)

    def _predict(
        self,
        name: str,
        shard: int,
        ids: pa.ChunkedArray,
        values: np.ndarray,
        known_N: np.ndarray,
    ) -> pa.Table:
        parts = self.networks[name].parts
        if parts:
            others_N = ~np.logical_and.reduce([part.mask(shard) for part in parts])
            values, known_N = values[others_N[known_N]], known_N & others_N
        rows = np.flatnonzero(known_N)
        probs_NK = np.zeros((0, self.num_classes), np.float32)
        if len(rows):
            probs_NK = self._predictors[name](values)
        fields = schema.predictions(self.num_classes)
        columns = [ids.combine_chunks()]
        for index, found in enumerate((probs_NK, probs_NK.argmax(axis=1)), start=1):
            columns.append(to_column(found, rows, len(known_N), fields.field(index)))
        return pa.Table.from_arrays(columns, schema=fields)


def prediction_works(
    networks: Sequence[Network], derived: Mapping[str, Derived]
) -> Iterator[tuple[list[Network], list[PredictWork]]]:
    """List the groups that some network lacks, for all networks on one feature at a time."""
    for feature in sorted({network.how.feature for network in networks}):
        mine = [network for network in networks if network.how.feature == feature]
        lacking: dict[int, dict[str, str]] = {}
        for network in mine:
            for work in derived[network.folder].missing:
                lacking.setdefault(work.key, {})[network.folder] = work.name
        yield (
            mine,
            [
                PredictWork(work.key, work.shards, work.generations["input"], lacking[work.key])
                for work in derived[mine[0].folder].works
                if work.key in lacking
            ],
        )


def trained(
    tables: Tables, network: Network, derived: Derived, inputs: Inputs | None = None
) -> Trained:
    """Say how a network predicts.

    Args:
        tables: of the project that trained it.
        network: that predicts.
        derived: where its predictions go.
        inputs: what it reads, where these are other images than the project's.
    """
    return Trained(
        tables.location,
        network.file,
        network_maker(tables, network.how),
        inputs or tables.inputs_of(network.how),
        derived.table.folder,
        network.how.loss == "binary_cross_entropy",
        network.parts,
    )
