"""What a workspace holds of a project, counted from its files alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow.compute as pc

from wslabel.project.project import Project
from wslabel.storage.table import Table, error_count, shard_name
from wslabel.workspace.constants import NotMade
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.workspace import Workspace

NO_NAME = "(not made yet)"
"""Stands for the folder of a table whose name needs what a run has yet to find out."""


@dataclass(frozen=True, kw_only=True)
class TableStatus:
    """What there is of one table.

    Attributes:
        table: Name for people.
        folder: Folder in the workspace.
        done: Files that are committed.
        missing: Files that are not made yet.
        rows: Rows of the committed files.
        errors: Images that failed, by kind of error.
    """

    table: str
    folder: str
    done: int
    missing: int
    rows: int
    errors: dict[str, int] = field(default_factory=dict)


def status(project: Project) -> list[TableStatus]:
    """Count the tables that a project names, in the order of the story."""
    workspace = Workspace(project, read_only=True)
    files = [shard_name(shard) for shard in workspace.shards]
    rows = [
        TableStatus(
            table="images",
            folder="images",
            done=len(files),
            missing=0,
            rows=_rows(workspace.images, files),
        )
    ]
    if not files:
        return rows
    rows += [_feature(workspace, name) for name in project.features]
    if any(row.missing for row in rows):
        return rows
    derived: dict[str, Callable[[], GroupTable]] = {}
    if project.labeling_functions:
        derived |= {"votes": lambda: workspace.votes, "labels": lambda: workspace.labels}
    training = project.training
    for name in training.names if training is not None else []:
        derived[f"predictions/{name}"] = partial(_predictions, workspace, name)
    return rows + [_derived(label, look_up, len(files)) for label, look_up in derived.items()]


def _predictions(workspace: Workspace, name: str) -> GroupTable:
    return workspace.predictions(workspace.networks[name])


def _feature(workspace: Workspace, name: str) -> TableStatus:
    label, extractor = f"features/{name}", workspace.extractors[name]
    if extractor.is_open:
        return TableStatus(
            table=label, folder=NO_NAME, done=0, missing=len(workspace.shards), rows=0
        )
    table, known = extractor.table(workspace.location), workspace.generations[name]
    files = [shard_name(s, known[s]) for s in workspace.shards if s in known]
    errors: Counter[str] = Counter()
    num_rows = 0
    for file, footer in zip(files, _footers(table, files), strict=True):
        num_rows += footer.num_rows
        if error_count(footer):
            kinds = pc.value_counts(table.read(file, ["error"]).column("error").drop_null())
            errors.update({k["values"]: k["counts"] for k in kinds.to_pylist()})
    missing = len(workspace.shards) - len(files)
    return TableStatus(
        table=label,
        folder=table.folder,
        done=len(files),
        missing=missing,
        rows=num_rows,
        errors=dict(errors),
    )


def _derived(label: str, look_up: Callable[[], GroupTable], num_shards: int) -> TableStatus:
    try:
        derived = look_up()
    except NotMade:
        return TableStatus(table=label, folder=NO_NAME, done=0, missing=num_shards, rows=0)
    missing = {item.name for item in derived.missing}
    files = [name for name in derived.state if name not in missing]
    rows = _rows(derived.table, files)
    return TableStatus(
        table=label, folder=derived.table.folder, done=len(files), missing=len(missing), rows=rows
    )


def _rows(table: Table, files: list[str]) -> int:
    return sum(footer.num_rows for footer in _footers(table, files))


def _footers(table: Table, files: list[str]) -> list[Any]:
    return table.location.read_many(files, table.footer)
