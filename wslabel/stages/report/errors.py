"""The images that can never be read, by feature and kind of error."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import pyarrow.compute as pc

from wslabel.report.presentation import Column, Kind, Row, Section, Table
from wslabel.storage.table import error_count, shard_name
from wslabel.workspace.workspace import Workspace

EXAMPLES = 3
"""Failed images named for each kind of error."""


def error_section(workspace: Workspace) -> Section:
    """Lay out what failed."""
    columns = (Column("feature"), Column("kind"), Column("images", Kind.COUNT))
    rows = tuple(row for name in workspace.extractors for row in _rows(workspace, name))
    note = "An image that can never be read keeps its row and says why." if rows else "None."
    table = Table(
        title="By kind", columns=(*columns, Column("for example")), rows=rows, num_naming=2
    )
    return Section(title="Failed images", note=note, tables=(table,) if rows else ())


def _rows(workspace: Workspace, name: str) -> Iterator[Row]:
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    for kind, image_id in _failed(workspace, name):
        counts[kind] += 1
        if len(examples[kind]) < EXAMPLES:
            examples[kind].append(image_id)
    for kind, count in sorted(counts.items()):
        yield name, kind, count, ", ".join(examples[kind])


def _failed(workspace: Workspace, name: str) -> Iterator[tuple[str, str]]:
    table = workspace.extractors[name].table(workspace.location)
    for shard, generation in sorted(workspace.generations[name].items()):
        file = shard_name(shard, generation)
        if error_count(table.footer(file)):
            images = table.read(file, ["image_id", "error"])
            for row in images.filter(pc.is_valid(images.column("error"))).to_pylist():
                yield row["error"], row["image_id"]
