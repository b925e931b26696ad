"""Derived tables, read one shard or group at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wslabel.columns import to_array
from wslabel.storage.location import Location
from wslabel.storage.table import GROUP_SIZE, Table
from wslabel.workspace.groups import GroupTable


@dataclass(frozen=True)
class ShardReader:
    """A derived table of which training reads one shard at a time.

    Attributes:
        location: Root of the workspace.
        folder: Folder of the table.
        files: Name of the file by number of the group.
    """

    location: Location
    folder: str
    files: Mapping[int, str]

    def read(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one shard."""
        name = self.files[shard // GROUP_SIZE]
        first = int(name.partition("-")[0])
        # A group's file has one row group per shard there is; all of a group are consecutive.
        return Table(self.location, self.folder).read_row_group(name, shard - first, columns)

    def read_group(self, key: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of a whole group."""
        return Table(self.location, self.folder).read(self.files[key // GROUP_SIZE], columns)


@dataclass(frozen=True)
class FoldPart:
    """The images of a fold, or all others.

    Attributes:
        folds: Table with the column `fold`.
        fold: Number of the fold.
        is_held: Whether the images of the fold are meant, or all others.
    """

    folds: ShardReader
    fold: int
    is_held: bool

    def mask(self, shard: int) -> np.ndarray:
        """Tell which images of a shard belong to it."""
        folds_N = to_array(self.folds.read(shard, ["fold"]).column("fold"))
        return np.asarray((folds_N == self.fold) == self.is_held)


def shard_reader(derived: GroupTable) -> ShardReader:
    """Let one shard of a derived table be read at a time."""
    files = {item.key // GROUP_SIZE: item.name for item in derived.items}
    return ShardReader(derived.table.location, derived.table.folder, files)
