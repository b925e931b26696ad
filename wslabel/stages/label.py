"""Label: fit the label model on the votes of the train split, and apply it to all images."""

import time
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import known_column
from wslabel.engine.execute import Placement, execute
from wslabel.engine.step import ItemResult
from wslabel.label_model import majority
from wslabel.label_model.hard_labels import hard
from wslabel.label_model.label_model import FittedLabelModel
from wslabel.label_model.summary import merge, summarize
from wslabel.stages.result import StageResult, total_images
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.workspace.groups import GroupItem
from wslabel.workspace.images import read_images, votes_matrix
from wslabel.workspace.requirements import require_votes
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class LabelResult(StageResult):
    """Labels that were made."""

    stage: ClassVar[str] = "label"


def run(workspace: Workspace) -> LabelResult:
    """Fit the label model on the train split and apply it to all images.

    Raises:
        WorkLeft: Votes are missing.
    """
    start = time.monotonic()
    require_votes(workspace)
    labels, engine = workspace.labels, workspace.project.engine
    results: list[ItemResult] = []
    if labels.missing:
        step = LabelStep(
            location=workspace.location,
            votes=workspace.votes.table.folder,
            output=labels.table.folder,
            num_classes=len(workspace.project.classes),
            model=fitted_model(workspace),
        )
        results = list(execute(engine, "label", step, labels.missing, placement=Placement.TASKS))
        labels.table.supersede(labels.state)
    return LabelResult(
        made=len(results),
        total=len(labels.items),
        num_images=total_images(results),
        seconds=time.monotonic() - start,
    )


def fitted_model(workspace: Workspace) -> FittedLabelModel:
    """Give the label model, fitted; the fit is kept as a constant."""
    settings = workspace.project.label_model
    num_classes = len(workspace.project.classes)
    model = settings.unfitted(num_classes)
    if model is not None:
        return model

    def fit() -> dict[str, str]:
        step = SummarizeStep(workspace.location, workspace.votes.table.folder, num_classes)
        groups, engine = workspace.votes.items, workspace.project.engine
        results = execute(engine, "summarize", step, groups, placement=Placement.TASKS)
        summary = reduce(merge, (result.value for result in results))
        return {"parameters": settings.fit(summary, num_classes).to_json()}

    fitted: FittedLabelModel = workspace.constants.get_or_make(
        workspace.label_model, fit, lambda kept: settings.restore(kept["parameters"])
    )
    return fitted


@dataclass(frozen=True)
class SummarizeStep:
    """The step that counts the votes of the train split; it never sees truth.

    Attributes:
        location: Root of the workspace.
        votes: Folder of the votes.
        num_classes: Classes that are voted for.
    """

    location: Location
    votes: str
    num_classes: int

    def __call__(self, item: GroupItem) -> ItemResult:
        """Count a group."""
        votes_NM = votes_matrix(Table(self.location, self.votes).read(item.name))
        splits = read_images(self.location, item.shards, ["split"]).column("split").to_numpy()
        summary = summarize(votes_NM[splits == "train"], self.num_classes)
        return ItemResult(item=item.key, num_images=len(votes_NM), value=summary)


@dataclass(frozen=True, kw_only=True)
class LabelStep:
    """The step that applies a fitted label model, and the majority vote beside it.

    Attributes:
        location: Root of the workspace.
        votes: Folder of the votes.
        output: Folder of the labels.
        num_classes: Classes that are voted for.
        model: The fitted label model.
    """

    location: Location
    votes: str
    output: str
    num_classes: int
    model: FittedLabelModel

    def __call__(self, item: GroupItem) -> ItemResult:
        """Label a group."""
        parts = Table(self.location, self.votes).read_row_groups(item.name)
        votes = pa.concat_tables(parts).combine_chunks()
        votes_NM = votes_matrix(votes)
        majority_NK = majority.apply(votes_NM, self.num_classes)
        model_NK = self.model.probabilities(votes_NM)
        table = self._table(votes.column("image_id"), model_NK, majority_NK)
        starts = np.cumsum([0, *(part.num_rows for part in parts)]).tolist()
        shards = [table.slice(starts[i], part.num_rows) for i, part in enumerate(parts)]
        Table(self.location, self.output).commit(item.name, shards)
        return ItemResult(item=item.key, num_images=len(votes_NM))

    def _table(
        self, ids: pa.ChunkedArray, model_NK: np.ndarray, majority_NK: np.ndarray
    ) -> pa.Table:
        fields = schema.labels(self.num_classes)
        columns = [ids.combine_chunks()]
        for index, probs_NK in ((1, model_NK), (3, majority_NK)):
            labels_N = hard(probs_NK)
            known_N = ~np.isnan(probs_NK[:, 0])
            columns.append(known_column(probs_NK, known_N, fields.field(index)))
            is_label_N = labels_N != schema.ABSTAIN
            columns.append(known_column(labels_N, is_label_N, fields.field(index + 1)))
        return pa.Table.from_arrays(columns, schema=fields)
