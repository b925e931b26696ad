"""One group of shards through all labeling functions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.work import Receipt
from wslabel.errors import StorageError
from wslabel.labeling.jury import Jury
from wslabel.steps.group import GroupWork
from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name


@dataclass(frozen=True)
class Vote:
    """The step: read the columns that the labeling functions ask for, vote, commit."""

    workspace: Location
    jury: Jury
    folders: Mapping[str, str]
    output: str

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Vote on a group."""
        tables = [self._shard(item, index) for index in range(len(item.shards))]
        Table(self.workspace, self.output, plain=False).commit(item.name, tables)
        return Receipt(item.key, sum(table.num_rows for table in tables))

    def _shard(self, item: GroupWork, index: int) -> pa.Table:
        batch = self._read(item, index)
        votes_NM = self.jury(batch)
        arrays = [pa.array(batch["image_id"]), *(pa.array(column) for column in votes_NM.T.copy())]
        names = [voter.name for voter in self.jury.voters]
        return pa.Table.from_arrays(arrays, schema=schema.votes(names))

    def _read(self, item: GroupWork, index: int) -> dict[str, np.ndarray]:
        """Zip the columns of one shard; rows must be the same images everywhere."""
        by_table: dict[str, list[str]] = {"": []}
        for column in self.jury.reads:
            feature, _, name = column.rpartition(".")
            by_table.setdefault(feature, []).append(name)
        batch: dict[str, np.ndarray] = {}
        for feature, names in by_table.items():
            generation = item.generations[feature][index] if feature else 0
            table = Table(self.workspace, self.folders[feature]).read(
                shard_name(item.shards[index], generation), ["image_id", *names]
            )
            ids = table.column("image_id").to_numpy()
            if "image_id" in batch and not np.array_equal(ids, batch["image_id"]):
                folder = self.folders[feature]
                raise StorageError(f"{folder}: shard {item.shards[index]} holds other images")
            batch["image_id"] = ids
            prefix = f"{feature}." if feature else ""
            batch |= {prefix + name: to_array(table.column(name)) for name in names}
        return batch
