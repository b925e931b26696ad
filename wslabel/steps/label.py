"""Groups of votes to summaries, and, once a label model is fitted, to labels."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_column
from wslabel.engine.work import Receipt
from wslabel.label_model import majority, parameters
from wslabel.label_model.labels import hard
from wslabel.label_model.parameters import Parameters
from wslabel.label_model.summary import summarize
from wslabel.steps.group import GroupWork, read_images
from wslabel.storage.location import Location
from wslabel.storage.table import Table


def votes_matrix(table: pa.Table) -> np.ndarray:
    """Give the votes of a table as a matrix; int8 [n, m]."""
    columns = [table.column(name).to_numpy() for name in table.column_names if name != "image_id"]
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Summarize:
    """The step that counts the votes of one split; it never sees truth."""

    workspace: Location
    votes: str
    num_classes: int
    split: str = "train"

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Count a group."""
        votes_NM = votes_matrix(Table(self.workspace, self.votes).read(item.name))
        splits = read_images(self.workspace, item.shards, ["split"]).column("split").to_numpy()
        summary = summarize(votes_NM[splits == self.split], self.num_classes)
        return Receipt(item.key, len(votes_NM), result=summary)


def class_ids(names: pa.ChunkedArray, classes: tuple[str, ...]) -> np.ndarray:
    """Turn class names into ids; -1 where there is none, or one that is not in the project."""
    ids = {name: index for index, name in enumerate(classes)}
    return np.array([ids.get(name, -1) for name in names.to_pylist()], np.int64)


@dataclass(frozen=True)
class Label:
    """The step that applies a fitted label model, and the majority vote beside it."""

    workspace: Location
    votes: str
    output: str
    num_classes: int
    parameters: Parameters | None

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Label a group; without parameters the majority vote is the label model."""
        parts = Table(self.workspace, self.votes).read_row_groups(item.name)
        votes = pa.concat_tables(parts).combine_chunks()
        votes_NM = votes_matrix(votes)
        majority_NK = majority.apply(votes_NM, self.num_classes)
        model_NK = (
            majority_NK if self.parameters is None else parameters.apply(self.parameters, votes_NM)
        )
        table = self._table(votes.column("image_id"), model_NK, majority_NK)
        starts = np.cumsum([0, *(part.num_rows for part in parts)]).tolist()
        shards = [table.slice(starts[i], part.num_rows) for i, part in enumerate(parts)]
        Table(self.workspace, self.output).commit(item.name, shards)
        return Receipt(item.key, len(votes_NM))

    def _table(
        self, ids: pa.ChunkedArray, model_NK: np.ndarray, majority_NK: np.ndarray
    ) -> pa.Table:
        fields = schema.labels(self.num_classes)
        columns = [ids.combine_chunks()]
        for index, probs_NK in ((1, model_NK), (3, majority_NK)):
            labels_N = hard(probs_NK)
            columns.append(_some(probs_NK, ~np.isnan(probs_NK[:, 0]), fields.field(index)))
            columns.append(_some(labels_N, labels_N != schema.ABSTAIN, fields.field(index + 1)))
        return pa.Table.from_arrays(columns, schema=fields)


def _some(values: np.ndarray, known_N: np.ndarray, field: pa.Field) -> pa.Array:
    rows = np.flatnonzero(known_N)
    return to_column(values[rows], rows, len(values), field)
