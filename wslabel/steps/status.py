"""What a workspace holds of a project, counted from its files alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow.compute as pc

from wslabel.settings import Project
from wslabel.steps.constants import NotMade
from wslabel.steps.tables import Derived, Tables
from wslabel.storage.table import Table, error_count, shard_name

NO_NAME = "(not made yet)"
"""Stands for the folder of a table whose name needs what a run has yet to find out."""


@dataclass(frozen=True)
class TableStatus:
    """One table: files done and missing, rows, failed images by kind of error."""

    table: str
    folder: str
    done: int
    missing: int
    rows: int
    errors: dict[str, int] = field(default_factory=dict)


def status(project: Project) -> list[TableStatus]:
    """Count the tables that a project names, in the order of the story."""
    tables = Tables(project, read_only=True)
    files = [shard_name(shard) for shard in tables.shards]
    rows = [TableStatus("images", "images", len(files), 0, _rows(tables.images, files))]
    if not files:
        return rows
    rows += [_feature(tables, name) for name in project.features]
    if any(row.missing for row in rows):
        return rows
    found: dict[str, Callable[[], Derived]] = {}
    if project.labeling_functions:
        found |= {"votes": lambda: tables.votes, "labels": lambda: tables.labels}
    training = project.training
    for name in training.names if training is not None else []:
        found[f"predictions/{name}"] = partial(_predictions, tables, name)
    return rows + [_derived(label, derived, len(files)) for label, derived in found.items()]


def _predictions(tables: Tables, name: str) -> Derived:
    return tables.predictions(tables.networks[name])


def _feature(tables: Tables, name: str) -> TableStatus:
    label = f"features/{name}"
    if tables.is_open(name):
        return TableStatus(label, NO_NAME, 0, len(tables.shards), 0)
    table = tables.extractors[name].table(tables.location)
    known = tables.generations[name]
    files = [shard_name(s, known[s]) for s in tables.shards if s in known]
    errors: Counter[str] = Counter()
    num_rows = 0
    for file, footer in zip(files, _footers(table, files), strict=True):
        num_rows += footer.num_rows
        if error_count(footer):
            kinds = pc.value_counts(table.read(file, ["error"]).column("error").drop_null())
            errors.update({k["values"]: k["counts"] for k in kinds.to_pylist()})
    missing = len(tables.shards) - len(files)
    return TableStatus(label, table.folder, len(files), missing, num_rows, dict(errors))


def _derived(label: str, find: Callable[[], Derived], num_shards: int) -> TableStatus:
    try:
        derived = find()
    except NotMade:
        return TableStatus(label, NO_NAME, 0, num_shards, 0)
    lacking = {work.name for work in derived.missing}
    files = [work.name for work in derived.works if work.name not in lacking]
    rows = _rows(derived.table, files)
    return TableStatus(label, derived.table.folder, len(files), len(lacking), rows)


def _rows(table: Table, files: list[str]) -> int:
    return sum(footer.num_rows for footer in _footers(table, files))


def _footers(table: Table, files: list[str]) -> list[Any]:
    return table.location.read_many(files, table.footer)
