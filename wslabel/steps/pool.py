"""What the networks of all folds say, each of the images held out of it, put together."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.drive import Spread, drive
from wslabel.engine.work import Receipt
from wslabel.steps.evaluate import Answers
from wslabel.steps.examples import Column
from wslabel.steps.group import GroupWork, read_images, works
from wslabel.steps.label import class_ids
from wslabel.steps.tables import Network, Tables
from wslabel.steps.train import column
from wslabel.storage.location import Location

Key = tuple[str, int]
"""What was trained, and its seed or round."""


def pooled(predictions: Sequence[Column], group: int) -> np.ndarray:
    """Read one group's predictions of several networks; each image takes the one there is."""
    tables = [column.read_group(group, ["probabilities"]) for column in predictions]
    parts = [to_array(table.column(0)) for table in tables]
    return np.asarray(reduce(lambda a, b: np.where(np.isnan(a), b, a), parts))


@dataclass(frozen=True)
class Pool:
    """The step: put together what the networks of each fold say of the images held out of them.

    Attributes:
        workspace: where all is.
        classes: of the project.
        predictions: by what was trained; one table per fold.
        split: whose images are judged where there are no folds.
    """

    workspace: Location
    classes: tuple[str, ...]
    predictions: Mapping[Key, Sequence[Column]]
    split: str | None

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Pool a group."""
        images = read_images(self.workspace, item.shards, ["split", schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        judged = truth_N >= 0
        if self.split is not None:
            judged &= images.column("split").to_numpy() == self.split
        found = {
            key: Answers(truth_N[judged].astype(int), pooled(columns, item.key)[judged])
            for key, columns in self.predictions.items()
        }
        return Receipt(item.key, len(truth_N), result=_Pooled(found))


@dataclass(frozen=True)
class _Pooled:
    answers: Mapping[Key, Answers]

    def __add__(self, other: "_Pooled") -> "_Pooled":
        return _Pooled({key: a + other.answers[key] for key, a in self.answers.items()})


def pooled_answers(
    tables: Tables, networks: Mapping[Key, Sequence[Network]], split: str | None
) -> Mapping[Key, Answers]:
    """Give truth and what networks say of the images of a split, or of all.

    Args:
        tables: of the project.
        networks: by what was trained; one per fold.
        split: whose images are judged; None for all.
    """
    predictions = {
        key: [column(tables, tables.predictions(network)) for network in found]
        for key, found in networks.items()
    }
    step = Pool(tables.location, tuple(tables.project.classes), predictions, split)
    groups = works(tables.shards, {})
    receipts = drive(tables.project.engine, "pool", step, groups, spread=Spread.CHEAP)
    found: _Pooled = reduce(operator.add, (receipt.result for receipt in receipts))
    return found.answers
