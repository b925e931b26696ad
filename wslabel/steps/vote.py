"""One group of shards through all labeling functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.work import Receipt
from wslabel.errors import ConfigError, StorageError, nearest
from wslabel.labeling.batch import Voter
from wslabel.labeling.jury import Jury
from wslabel.labeling.pattern import PatternVoter
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
        parts = [self._read(item, index) for index in range(len(item.shards))]
        names = parts[0].keys()
        votes_NM = self.jury({name: np.concatenate([p[name] for p in parts]) for name in names})
        starts = np.cumsum([len(part["image_id"]) for part in parts])[:-1]
        fields = schema.votes([voter.name for voter in self.jury.voters])
        tables = [
            pa.Table.from_arrays(
                [pa.array(part["image_id"]), *(pa.array(column) for column in own.T.copy())],
                schema=fields,
            )
            for part, own in zip(parts, np.split(votes_NM, starts), strict=True)
        ]
        Table(self.workspace, self.output).commit(item.name, tables)
        return Receipt(item.key, len(votes_NM))

    def _read(self, item: GroupWork, index: int) -> dict[str, np.ndarray]:
        """Zip the columns of one shard; row i is the same image in every table."""
        batch: dict[str, np.ndarray] = {}
        for feature, names in self._columns.items():
            generation = item.generations[feature][index] if feature else 0
            wanted = names if "image_id" in batch else ["image_id", *names]
            table = Table(self.workspace, self.folders[feature]).read(
                shard_name(item.shards[index], generation), wanted
            )
            prefix = f"{feature}." if feature else ""
            for name in wanted:
                key = name if name == "image_id" else prefix + name
                batch[key] = to_array(table.column(name))
            if table.num_rows != len(batch["image_id"]):
                folder = self.folders[feature]
                raise StorageError(f"{folder}: shard {item.shards[index]} holds other images")
        return batch

    @property
    def _columns(self) -> dict[str, list[str]]:
        """Group the columns that are read by their table; metadata are in the images, ''."""
        by_table: dict[str, list[str]] = {}
        for column in self.jury.reads:
            feature, _, name = column.rpartition(".")
            by_table.setdefault(feature, []).append(name)
        return by_table or {"": []}


def refuse_unknown_columns(voters: Sequence[Voter], images: pa.Schema) -> None:
    """See that the columns of the images that labeling functions read are there, patterns' as text.

    Raises:
        ConfigError: names the labeling function and the nearest column.
    """
    for voter in voters:
        where = f"labeling_functions ({voter.name})"
        for column in voter.reads:
            if "." in column:
                continue
            if column not in images.names:
                choice = nearest(column, images.names)
                raise ConfigError(f"{where}: no metadata column '{column}'; {choice}")
            kind = images.field(column).type
            if isinstance(voter, PatternVoter) and not pa.types.is_string(kind):
                raise ConfigError(f"{where}: expected text in column '{column}', found {kind}")
