"""The files that the stages evaluate and report compare with truth, group by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from wslabel.report.evaluation import Evaluation
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class EvaluationFiles:
    """The files of one group.

    Attributes:
        key: Number of the group's first shard.
        shards: Shards of the group.
        votes: Path of its votes; None in a project without labeling functions.
        labels: Path of its labels; None in a project without labeling functions.
        predictions: Path of its predictions by name of the network.
    """

    key: int
    shards: tuple[int, ...]
    votes: str | None
    labels: str | None
    predictions: Mapping[str, str]


def evaluation_files(workspace: Workspace) -> list[EvaluationFiles]:
    """List the groups of a project with the files to compare."""
    tables: dict[str, GroupTable] = {
        name: workspace.predictions(network) for name, network in workspace.networks.items()
    }
    has_votes = bool(workspace.project.labeling_functions)
    votes, labels = (workspace.votes, workspace.labels) if has_votes else (None, None)
    groups = votes or next(iter(tables.values()), None)
    return [
        EvaluationFiles(
            key=item.key,
            shards=item.shards,
            votes=_path(votes, index),
            labels=_path(labels, index),
            predictions={
                name: table.table.path(table.items[index].name) for name, table in tables.items()
            },
        )
        for index, item in enumerate(groups.items if groups else [])
    ]


def read_evaluation(workspace: Workspace) -> Evaluation:
    """Read what the stage evaluate found.

    Raises:
        StorageError: It is not as wslabel writes it.
    """
    names = list(workspace.networks)
    found: Evaluation = workspace.read_json(
        workspace.evaluation, lambda data: Evaluation.from_json(data, names)
    )
    return found


def _path(table: GroupTable | None, index: int) -> str | None:
    return None if table is None else table.table.path(table.items[index].name)


def read_path(location: Location, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read some or all columns of one file."""
    folder, _, name = path.rpartition("/")
    return Table(location, folder).read(name, columns)
