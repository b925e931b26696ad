"""Vote: every labeling function over every image, group by group."""

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.engine.execute import Placement, execute
from wslabel.engine.step import ItemResult
from wslabel.labeling.applier import LFApplier
from wslabel.stages.result import StageResult, total_images
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.workspace.batches import (
    BatchReader,
    batch_reader,
    read_shards,
    refuse_unknown_columns,
)
from wslabel.workspace.groups import GroupItem
from wslabel.workspace.requirements import require_features
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class VoteResult(StageResult):
    """Votes that were made."""

    stage: ClassVar[str] = "vote"


def run(workspace: Workspace) -> VoteResult:
    """Let every labeling function vote on every image.

    Raises:
        LabelingFunctionError: One of them failed.
        WorkLeft: Features are missing.
    """
    start = time.monotonic()
    require_features(workspace)
    functions = workspace.functions
    refuse_unknown_columns(workspace, functions.applier.functions)
    votes = workspace.votes
    step = VoteStep(
        location=workspace.location,
        applier=functions.applier,
        reader=batch_reader(workspace, functions.applier.reads),
        output=votes.table.folder,
    )
    engine = workspace.project.engine
    results = list(
        execute(
            engine,
            "vote",
            step,
            votes.missing,
            placement=Placement.TASKS,
            by_value=functions.modules if votes.missing else (),
        )
    )
    if results:
        votes.table.supersede(votes.state)
    return VoteResult(
        made=len(results),
        total=len(votes.items),
        num_images=total_images(results),
        seconds=time.monotonic() - start,
    )


@dataclass(frozen=True, kw_only=True)
class VoteStep:
    """The step: read the columns that the labeling functions ask for, vote, commit.

    Attributes:
        location: Root of the workspace.
        applier: The labeling functions.
        reader: What gives them their columns.
        output: Folder of the votes.
    """

    location: Location
    applier: LFApplier
    reader: BatchReader
    output: str

    def __call__(self, item: GroupItem) -> ItemResult:
        """Vote on a group."""
        shards = read_shards(self.reader, item)
        names = shards[0].keys()
        votes_NM = self.applier({n: np.concatenate([shard[n] for shard in shards]) for n in names})
        starts = np.cumsum([len(shard["image_id"]) for shard in shards])[:-1]
        fields = schema.votes([lf.name for lf in self.applier.functions])
        tables = [
            pa.Table.from_arrays(
                [pa.array(shard["image_id"]), *(pa.array(column) for column in own.T.copy())],
                schema=fields,
            )
            for shard, own in zip(shards, np.split(votes_NM, starts), strict=True)
        ]
        Table(self.location, self.output).commit(item.name, tables)
        return ItemResult(item=item.key, num_images=len(votes_NM))
