"""What labeling functions look at: columns of features and metadata, read shard by shard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wslabel.columns import to_array
from wslabel.errors import ConfigError, nearest
from wslabel.labeling.labeling_function import LabelingFunction, features_of, place_of
from wslabel.schema import RESERVED
from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name
from wslabel.workspace.groups import GroupItem
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class BatchReader:
    """Reads columns by their names: `clip.embedding` of a feature, `title` of the images.

    Attributes:
        location: Root of the workspace.
        columns: Columns to read.
        folders: Folder of each feature that they are of.
    """

    location: Location
    columns: Sequence[str]
    folders: Mapping[str, str]

    def read(self, shard: int, generations: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Read the columns of a shard and its `image_id`; row i is the same image in all of them.

        Args:
            shard: Number of the shard.
            generations: Its newest generation in each feature.

        Raises:
            StorageError: A table holds other images than the rest.
        """
        batch: dict[str, np.ndarray] = {}
        for feature, columns in self._by_table().items():
            folder = "images" if feature is None else self.folders[feature]
            file = shard_name(shard, 0 if feature is None else generations[feature])
            wanted = columns if "image_id" in batch else {"image_id": "image_id"} | columns
            table = Table(self.location, folder).read(file, list(wanted.values()))
            for column, name in wanted.items():
                batch[column] = to_array(table.column(name))
        return batch

    def _by_table(self) -> dict[str | None, dict[str, str]]:
        """Give the columns of each feature, and under None metadata, with their names there."""
        tables: dict[str | None, dict[str, str]] = {}
        for column in self.columns:
            feature, name = place_of(column, self.folders)
            tables.setdefault(feature, {})[column] = name
        return tables or {None: {}}


def read_shards(reader: BatchReader, item: GroupItem) -> list[dict[str, np.ndarray]]:
    """Read the columns of each shard of a group."""
    return [
        reader.read(shard, {name: known[index] for name, known in item.generations.items()})
        for index, shard in enumerate(item.shards)
    ]


def batch_reader(workspace: Workspace, columns: Sequence[str]) -> BatchReader:
    """Read columns of a workspace."""
    extractors = workspace.extractors
    folders = {name: extractors[name].folder for name in features_of(columns, extractors)}
    return BatchReader(location=workspace.location, columns=columns, folders=folders)


def refuse_unknown_columns(workspace: Workspace, functions: Sequence[LabelingFunction]) -> None:
    """See that the columns that labeling functions read will be there, texts as text.

    Raises:
        ConfigError: Names the labeling function and the nearest column.
    """
    footer = workspace.images.footer(shard_name(workspace.shards[0]))
    images = footer.schema.to_arrow_schema()
    metadata = [name for name in images.names if name not in RESERVED]
    for lf in functions:
        where = f"labeling_functions ({lf.name})"
        for column in lf.reads:
            feature, name = place_of(column, workspace.extractors)
            of = "metadata" if feature is None else f"the feature '{feature}'"
            known = metadata if feature is None else workspace.extractors[feature].columns.names
            if name not in known:
                choice = nearest(name, known)
                raise ConfigError(f"{where}: {of} has no column '{name}'; {choice}")
            if feature is not None and column in metadata:
                raise ConfigError(
                    f"{where}: the metadata column '{column}' is taken for one of {of}; rename one"
                )
            kind = images.field(column).type if feature is None else pa.string()
            if lf.text_columns and not pa.types.is_string(kind):
                raise ConfigError(f"{where}: expected text in column '{column}', found {kind}")
