"""What the networks of all folds say, each of the images held out of it, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.execute import Placement, execute
from wslabel.engine.step import ItemResult
from wslabel.report.judging import Answers
from wslabel.storage.location import Location
from wslabel.workspace.groups import GroupItem, group_items
from wslabel.workspace.images import class_ids, read_images
from wslabel.workspace.networks import Network
from wslabel.workspace.shard_reader import ShardReader, shard_reader
from wslabel.workspace.workspace import Workspace

Key = tuple[str, int]
"""What was trained, and its seed or round."""


def held_out_answers(
    workspace: Workspace, networks: Mapping[Key, Sequence[Network]], split: str | None
) -> dict[Key, Answers]:
    """Give truth and what networks say of the images of a split, or of all.

    Args:
        workspace: Tables of the project.
        networks: Networks by what was trained; one per fold.
        split: Split whose images are judged; None for all.
    """
    step = HeldOutStep(
        location=workspace.location,
        classes=tuple(workspace.project.classes),
        predictions={
            key: [shard_reader(workspace.predictions(network)) for network in of_folds]
            for key, of_folds in networks.items()
        },
        split=split,
    )
    groups = group_items(workspace.shards, {})
    results = execute(workspace.project.engine, "judge", step, groups, placement=Placement.TASKS)
    return reduce(_added, (result.value for result in results))


def _added(first: Mapping[Key, Answers], second: Mapping[Key, Answers]) -> dict[Key, Answers]:
    return {key: answers + second[key] for key, answers in first.items()}


@dataclass(frozen=True, kw_only=True)
class HeldOutStep:
    """The step: put together what the networks of each fold say of the images held out of them.

    Attributes:
        location: Root of the workspace.
        classes: Classes of the project.
        predictions: Predictions by what was trained; one table per fold.
        split: Split whose images are judged where there are no folds; None for all.
    """

    location: Location
    classes: tuple[str, ...]
    predictions: Mapping[Key, Sequence[ShardReader]]
    split: str | None

    def __call__(self, item: GroupItem) -> ItemResult:
        """Put a group together."""
        images = read_images(self.location, item.shards, ["split", schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        judged_N = truth_N >= 0
        if self.split is not None:
            judged_N &= images.column("split").to_numpy() == self.split
        answers = {
            key: Answers(
                truth_N[judged_N].astype(int), held_out_predictions(columns, item.key)[judged_N]
            )
            for key, columns in self.predictions.items()
        }
        return ItemResult(item=item.key, num_images=len(truth_N), value=answers)


def held_out_predictions(predictions: Sequence[ShardReader], group: int) -> np.ndarray:
    """Read one group's predictions of several networks; each image takes the one there is."""
    tables = [column.read_group(group, ["probabilities"]) for column in predictions]
    parts = [to_array(table.column(0)) for table in tables]
    return np.asarray(reduce(lambda a, b: np.where(np.isnan(a), b, a), parts))
