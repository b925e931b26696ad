"""One group of shards through the trained networks that lack it; inputs are read once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_column
from wslabel.engine.work import Receipt
from wslabel.steps import doors
from wslabel.steps.examples import Inputs
from wslabel.steps.group import read_images
from wslabel.storage.location import Location
from wslabel.storage.table import Table


@dataclass(frozen=True)
class PredictWork:
    """One group, and the names of the files that networks lack, by their variant.

    Attributes:
        key: of the group.
        shards: that it covers.
        generations: of the input's shards.
        lacking: file to make, by variant.
    """

    key: int
    shards: tuple[int, ...]
    generations: tuple[int, ...]
    lacking: Mapping[str, str]


@dataclass(frozen=True)
class Predict:
    """The step: read inputs, run the networks, commit probabilities.

    Attributes:
        workspace: where all is.
        inputs: what the networks read.
        models: file of each variant's network.
        outputs: folder of each variant's predictions.
        make: builds the bare network.
        num_classes: of its outputs.
    """

    workspace: Location
    inputs: Inputs
    models: Mapping[str, str]
    outputs: Mapping[str, str]
    make: Callable[[], Any]
    num_classes: int

    @cached_property
    def _networks(self) -> dict[str, Any]:
        predictor = doors.room("training.networks").Predictor
        return {
            variant: predictor(self.make, self.workspace.read(model).to_pybytes())
            for variant, model in self.models.items()
        }

    def prepare(self, item: PredictWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: PredictWork, prepared: None) -> Receipt:
        """Predict a group."""
        parts: dict[str, list[pa.Table]] = {variant: [] for variant in item.lacking}
        num_images = 0
        for shard, generation in zip(item.shards, item.generations, strict=True):
            values, known_N = self.inputs.read(shard, generation)
            ids = read_images(self.workspace, [shard], ["image_id"]).column("image_id")
            num_images += len(known_N)
            for variant, tables in parts.items():
                tables.append(self._predict(variant, ids, values, np.flatnonzero(known_N)))
        for variant, tables in parts.items():
            Table(self.workspace, self.outputs[variant]).commit(item.lacking[variant], tables)
        return Receipt(item.key, num_images)

    def _predict(
        self, variant: str, ids: pa.ChunkedArray, values: np.ndarray, rows: np.ndarray
    ) -> pa.Table:
        probs_NK = np.zeros((0, self.num_classes), np.float32)
        if len(rows):
            probs_NK = self._networks[variant](values[rows])
        fields = schema.predictions(self.num_classes)
        columns = [ids.combine_chunks()]
        for index, found in enumerate((probs_NK, probs_NK.argmax(axis=1)), start=1):
            columns.append(to_column(found, rows, len(values), fields.field(index)))
        return pa.Table.from_arrays(columns, schema=fields)
