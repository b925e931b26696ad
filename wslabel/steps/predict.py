"""One group of shards through a trained network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from wslabel import schema
from wslabel.columns import batches, to_column
from wslabel.engine.work import Receipt
from wslabel.steps.examples import Inputs
from wslabel.steps.group import GroupWork, read_images
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.training.networks import deserialize

BATCH_SIZE = 256


@dataclass(frozen=True)
class Predict:
    """The step: read inputs, run the network, commit probabilities."""

    workspace: Location
    inputs: Inputs
    model: str
    make: Callable[[], torch.nn.Module]
    output: str
    num_classes: int

    @cached_property
    def _network(self) -> torch.nn.Module:
        network = deserialize(self.make, self.workspace.read(self.model).to_pybytes())
        return network.to("cuda" if torch.cuda.is_available() else "cpu")

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Predict a group."""
        generations = item.generations["input"]
        parts = [self._shard(s, g) for s, g in zip(item.shards, generations, strict=True)]
        Table(self.workspace, self.output).commit(item.name, parts)
        return Receipt(item.key, sum(part.num_rows for part in parts))

    def _shard(self, shard: int, generation: int) -> pa.Table:
        values, known_N = self.inputs.read(shard, generation)
        rows = np.flatnonzero(known_N)
        probs_NK = self._probabilities(values[rows])
        ids = read_images(self.workspace, [shard], ["image_id"]).column("image_id")
        fields = schema.predictions(self.num_classes)
        columns: list[Any] = [ids.combine_chunks()]
        found = (probs_NK, probs_NK.argmax(axis=1))
        for index, column in enumerate(found, start=1):
            columns.append(to_column(column, rows, len(values), fields.field(index)))
        return pa.Table.from_arrays(columns, schema=fields)

    @torch.inference_mode()
    def _probabilities(self, values: np.ndarray) -> np.ndarray:
        device = next(self._network.parameters()).device
        parts = [
            self._network(torch.from_numpy(batch).to(device)).softmax(dim=1).cpu().numpy()
            for batch in batches(values, BATCH_SIZE)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.num_classes), np.float32)
