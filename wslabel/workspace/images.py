"""The manifest: columns of some shards, and class ids of their truth."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name


def read_images(location: Location, shards: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """Read columns of the manifest for some shards."""
    table = Table(location, "images")
    return pa.concat_tables([table.read(shard_name(shard), columns) for shard in shards])


def votes_matrix(table: pa.Table) -> np.ndarray:
    """Give the votes of a table as a matrix; int8 [n, m]."""
    columns = [table.column(name).to_numpy() for name in table.column_names if name != "image_id"]
    return np.stack(columns, axis=1)


def class_ids(names: pa.ChunkedArray, classes: tuple[str, ...]) -> np.ndarray:
    """Turn class names into ids; -1 where there is none, or one that is not in the project."""
    ids = {name: index for index, name in enumerate(classes)}
    return np.array([ids.get(name, -1) for name in names.to_pylist()], np.int64)
