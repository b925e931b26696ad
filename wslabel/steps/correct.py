"""Labels corrected by out-of-fold predictions: who is chosen, and what becomes of the label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array, to_column
from wslabel.engine.work import Receipt
from wslabel.label_model.labels import hard
from wslabel.settings import SelfTraining
from wslabel.steps.examples import Column
from wslabel.steps.group import GroupWork, read_images
from wslabel.steps.label import class_ids
from wslabel.steps.pool import pooled
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.training.labels import mix


@dataclass(frozen=True)
class Tally:
    """What a round did to the labels of the train split; adds up over groups.

    Attributes:
        chosen: images whose prediction was taken.
        changed: of all images, those whose most probable class is another than in the round before.
        gained: images that had no label before.
        right: labels that agree with truth, where it is known; for reports alone.
        judged: labels of images whose truth is known.
    """

    chosen: int = 0
    changed: int = 0
    gained: int = 0
    right: int = 0
    judged: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def counts(self) -> tuple[int, ...]:
        """Give the counts in their order."""
        return self.chosen, self.changed, self.gained, self.right, self.judged


def candidates(predicted_NK: np.ndarray, given_NK: np.ndarray, how: SelfTraining) -> np.ndarray:
    """Tell which predictions are sure enough to be taken, before any quota.

    Args:
        predicted_NK: out-of-fold probabilities; NaN where there are none.
        given_NK: probabilities of the label model; NaN where it has no label.
        how: threshold and agreement.
    """
    known_N = ~np.isnan(predicted_NK[:, 0])
    confidence_N = np.where(known_N, predicted_NK.max(axis=1), 0.0)
    sure_N = known_N & (confidence_N >= how.threshold)
    if how.agreement:
        same_N = predicted_NK.argmax(axis=1) == np.nan_to_num(given_NK, nan=-1.0).argmax(axis=1)
        sure_N &= same_N | np.isnan(given_NK[:, 0])
    return np.asarray(sure_N)


def cuts(
    label_N: np.ndarray, confidence_N: np.ndarray, num_classes: int, quota: float
) -> np.ndarray:
    """Give the confidence from which on a class's share of the candidates is taken.

    >>> cuts(np.array([0, 0, 0, 0, 1]), np.array([.9, .8, .7, .6, .9]), 2, 0.5).tolist()
    [0.8, 0.9]
    """
    found_K = np.full(num_classes, np.inf)
    for label in range(num_classes):
        mine = np.sort(confidence_N[label_N == label])[::-1]
        count = int(np.ceil(quota * len(mine)))
        if count:
            found_K[label] = mine[count - 1]
    return found_K


@dataclass(frozen=True)
class Sources:
    """What a round looks at: the label model's labels, the last round's, and predictions."""

    workspace: Location
    given: Column
    before: Column
    predictions: tuple[Column, ...]
    how: SelfTraining
    splits: tuple[str, ...] = ("train",)

    def read(self, group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read given, last and predicted probabilities of a group."""
        given_NK, before_NK = (
            to_array(column.read_group(group, ["probabilities"]).column(0))
            for column in (self.given, self.before)
        )
        return given_NK, before_NK, pooled(self.predictions, group)

    def learned(self, shards: Sequence[int]) -> np.ndarray:
        """Tell which images of some shards are of the splits that are learned from."""
        splits = read_images(self.workspace, shards, ["split"]).column("split")
        return np.isin(splits.to_numpy(), self.splits)


@dataclass(frozen=True)
class Candidates:
    """The step that gives class and confidence of all candidates of the train split."""

    sources: Sources

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Look at a group."""
        given_NK, _, predicted_NK = self.sources.read(item.key)
        sure_N = candidates(predicted_NK, given_NK, self.sources.how)
        sure_N &= self.sources.learned(item.shards)
        found = predicted_NK[sure_N]
        result = found.argmax(axis=1).astype(np.int16), found.max(axis=1).astype(np.float32)
        return Receipt(item.key, len(sure_N), result=result)


@dataclass(frozen=True)
class Correct:
    """The step that writes the labels of the next round.

    Attributes:
        sources: what it looks at.
        cuts: confidence from which on predictions of each class are taken.
        output: folder of the new labels.
        classes: of the project.
    """

    sources: Sources
    cuts: tuple[float, ...]
    output: str
    classes: tuple[str, ...]

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Correct a group; labels of other splits stay as the label model gave them."""
        how = self.sources.how
        given_NK, before_NK, predicted_NK = self.sources.read(item.key)
        taken_N = candidates(predicted_NK, given_NK, how) & self.sources.learned(item.shards)
        cuts_K = np.array(self.cuts, np.float32)
        best_N = np.nan_to_num(predicted_NK, nan=-1.0).argmax(axis=1)
        taken_N &= np.nan_to_num(predicted_NK, nan=-1.0).max(axis=1) >= cuts_K[best_N]
        mixed_NK = mix(given_NK, predicted_NK, how.given_weight)
        label_NK = np.where(taken_N[:, None], mixed_NK, given_NK).astype(np.float32)
        self._commit(item, label_NK, predicted_NK, taken_N)
        tally = self._tally(item, label_NK, before_NK, taken_N)
        return Receipt(item.key, len(taken_N), result=tally)

    def _tally(
        self, item: GroupWork, label_NK: np.ndarray, before_NK: np.ndarray, taken_N: np.ndarray
    ) -> Tally:
        mine = self.sources.learned(item.shards)
        now_N, before_N = hard(label_NK), hard(before_NK)
        images = read_images(self.sources.workspace, item.shards, [schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        judged = mine & (truth_N >= 0) & (now_N >= 0)
        return Tally(
            int(taken_N.sum()),
            int((mine & (before_N >= 0) & (now_N != before_N)).sum()),
            int((mine & (before_N < 0) & (now_N >= 0)).sum()),
            int((judged & (now_N == truth_N)).sum()),
            int(judged.sum()),
        )

    def _commit(
        self,
        item: GroupWork,
        label_NK: np.ndarray,
        predicted_NK: np.ndarray,
        taken_N: np.ndarray,
    ) -> None:
        fields = schema.pseudo_labels(len(self.classes))
        ids = read_images(self.sources.workspace, item.shards, ["image_id"]).column("image_id")
        label_N = hard(label_NK)
        columns = [
            ids.combine_chunks(),
            _known(label_NK, ~np.isnan(label_NK[:, 0]), fields.field(1)),
            _known(label_N, label_N >= 0, fields.field(2)),
            _known(predicted_NK, ~np.isnan(predicted_NK[:, 0]), fields.field(3)),
            pa.array(taken_N),
        ]
        whole = pa.Table.from_arrays(columns, schema=fields)
        sizes = [
            read_images(self.sources.workspace, [shard], ["image_id"]).num_rows
            for shard in item.shards
        ]
        starts = np.cumsum([0, *sizes]).tolist()
        parts = [whole.slice(start, size) for start, size in zip(starts, sizes, strict=False)]
        Table(self.sources.workspace, self.output).commit(item.name, parts)


def _known(values: np.ndarray, known_N: np.ndarray, field: pa.Field) -> pa.Array:
    rows = np.flatnonzero(known_N)
    return to_column(values[rows], rows, len(values), field)
