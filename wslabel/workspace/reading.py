"""A whole table of a project as Arrow."""

from collections.abc import Sequence

import pyarrow as pa

from wslabel.errors import ConfigError, WorkLeft, nearest
from wslabel.storage.table import Table, shard_name
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.requirements import require_features, require_images, require_votes
from wslabel.workspace.workspace import Workspace


def read(workspace: Workspace, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table; row i is the same image in every table.

    Args:
        workspace: Tables of the project.
        name: images, features/NAME, votes, labels or predictions/NETWORK.
        columns: Columns to read; None for all.

    Raises:
        ConfigError: There is no such table or column.
        WorkLeft: It is not made yet, or not whole.
    """
    names = table_names(workspace)
    if name not in names:
        raise ConfigError(f"there is no table '{name}'; {nearest(name, names)}")
    require_images(workspace)
    room, _, own = name.partition("/")
    if room == "images":
        files = [shard_name(shard) for shard in workspace.shards]
        return _concatenated(workspace.images, files, columns)
    require_features(workspace)
    if room == "features":
        known = workspace.generations[own]
        files = [shard_name(shard, known[shard]) for shard in workspace.shards]
        return _concatenated(workspace.extractors[own].table(workspace.location), files, columns)
    if room == "predictions":
        return _whole(workspace.predictions(workspace.networks[own]), name, columns)
    require_votes(workspace)
    return _whole(workspace.votes if room == "votes" else workspace.labels, name, columns)


def table_names(workspace: Workspace) -> list[str]:
    """Name the tables of a project."""
    project = workspace.project
    names = ["images", *(f"features/{name}" for name in project.features)]
    if project.labeling_functions:
        names += ["votes", "labels"]
    networks = project.training.names if project.training is not None else []
    return names + [f"predictions/{network}" for network in networks]


def _whole(derived: GroupTable, name: str, columns: Sequence[str] | None) -> pa.Table:
    if derived.missing:
        raise WorkLeft(
            f"{len(derived.missing)} of {len(derived.items)} files of {name} are missing; "
            "wslabel run makes them"
        )
    return _concatenated(derived.table, derived.state, columns)


def _concatenated(table: Table, files: list[str], columns: Sequence[str] | None) -> pa.Table:
    if columns is not None:
        known = table.footer(files[0]).schema.to_arrow_schema().names
        for column in columns:
            if column not in known:
                raise ConfigError(
                    f"{table.folder}: there is no column '{column}'; {nearest(column, known)}"
                )
    parts = table.location.read_many(files, lambda file: table.read(file, columns))
    # Shards of images carry notes of how they were drawn, which no reader needs.
    return pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
