"""What labeling functions look at: columns of features and metadata, read shard by shard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wslabel.columns import to_array
from wslabel.labeling.labeling_function import features_of
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
        for feature, names in self._by_table().items():
            folder = self.folders[feature] if feature else "images"
            file = shard_name(shard, generations[feature] if feature else 0)
            wanted = names if "image_id" in batch else ["image_id", *names]
            table = Table(self.location, folder).read(file, wanted)
            for name in wanted:
                key = f"{feature}.{name}" if feature and name != "image_id" else name
                batch[key] = to_array(table.column(name))
        return batch

    def _by_table(self) -> dict[str, list[str]]:
        """Group the columns by their feature; metadata are in the images, under ''."""
        tables: dict[str, list[str]] = {}
        for column in self.columns:
            feature, _, name = column.rpartition(".")
            tables.setdefault(feature, []).append(name)
        return tables or {"": []}


def read_shards(reader: BatchReader, item: GroupItem) -> list[dict[str, np.ndarray]]:
    """Read the columns of each shard of a group."""
    return [
        reader.read(shard, {name: known[index] for name, known in item.generations.items()})
        for index, shard in enumerate(item.shards)
    ]


def batch_reader(workspace: Workspace, columns: Sequence[str]) -> BatchReader:
    """Read columns of a workspace."""
    folders = {name: workspace.extractors[name].folder for name in features_of(columns)}
    return BatchReader(location=workspace.location, columns=columns, folders=folders)
