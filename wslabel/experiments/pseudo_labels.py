"""Labels corrected by out-of-fold predictions: who is chosen, and what becomes of the label."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import known_column, to_array
from wslabel.config.experiments import SelfTraining
from wslabel.engine.step import ItemResult
from wslabel.experiments.held_out import held_out_predictions
from wslabel.label_model.hard_labels import hard
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.training.soft_labels import mix
from wslabel.workspace.groups import GroupItem
from wslabel.workspace.images import class_ids, read_images
from wslabel.workspace.shard_reader import ShardReader


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a round did to the labels of the train split; adds up over groups.

    Attributes:
        chosen: Images whose prediction was taken.
        changed: Images whose most probable class is another than in the round before.
        gained: Images that had no label before.
        right: Labels that agree with truth, where it is known; for reports alone.
        judged: Labels of images whose truth is known.
    """

    chosen: int = 0
    changed: int = 0
    gained: int = 0
    right: int = 0
    judged: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        mine, others = asdict(self), asdict(other)
        return Tally(**{name: count + others[name] for name, count in mine.items()})


def candidates(
    predicted_NK: np.ndarray, given_NK: np.ndarray, settings: SelfTraining
) -> np.ndarray:
    """Tell which predictions are sure enough to be taken, before any quota.

    Args:
        predicted_NK: Out-of-fold probabilities; NaN where there are none.
        given_NK: Probabilities of the label model; NaN where it has no label.
        settings: Threshold and agreement.
    """
    known_N = ~np.isnan(predicted_NK[:, 0])
    confidence_N = np.where(known_N, predicted_NK.max(axis=1), 0.0)
    sure_N = known_N & (confidence_N >= settings.threshold)
    if settings.agreement:
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
    cut_K = np.full(num_classes, np.inf)
    for label in range(num_classes):
        descending = np.sort(confidence_N[label_N == label])[::-1]
        count = int(np.ceil(quota * len(descending)))
        if count:
            cut_K[label] = descending[count - 1]
    return cut_K


@dataclass(frozen=True, kw_only=True)
class RoundInputs:
    """What a round looks at: the label model's labels, the last round's, and predictions.

    Attributes:
        location: Root of the workspace.
        given: Labels of the label model.
        before: Labels of the round before.
        predictions: Out-of-fold predictions, one table per fold.
        settings: How predictions are chosen and mixed.
        splits: Splits that are learned from.
    """

    location: Location
    given: ShardReader
    before: ShardReader
    predictions: tuple[ShardReader, ...]
    settings: SelfTraining
    splits: tuple[str, ...] = ("train",)

    def read(self, group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read given, last and predicted probabilities of a group."""
        given_NK, before_NK = (
            to_array(column.read_group(group, ["probabilities"]).column(0))
            for column in (self.given, self.before)
        )
        return given_NK, before_NK, held_out_predictions(self.predictions, group)

    def learned(self, shards: Sequence[int]) -> np.ndarray:
        """Tell which images of some shards are of the splits that are learned from."""
        splits = read_images(self.location, shards, ["split"]).column("split")
        return np.isin(splits.to_numpy(), self.splits)


@dataclass(frozen=True)
class CandidatesStep:
    """The step that gives class and confidence of all candidates of the train split.

    Attributes:
        inputs: What the round looks at.
    """

    inputs: RoundInputs

    def __call__(self, item: GroupItem) -> ItemResult:
        """Look at a group."""
        given_NK, _, predicted_NK = self.inputs.read(item.key)
        sure_N = candidates(predicted_NK, given_NK, self.inputs.settings)
        sure_N &= self.inputs.learned(item.shards)
        sure_NK = predicted_NK[sure_N]
        value = sure_NK.argmax(axis=1).astype(np.int16), sure_NK.max(axis=1).astype(np.float32)
        return ItemResult(item=item.key, num_images=len(sure_N), value=value)


@dataclass(frozen=True, kw_only=True)
class CorrectStep:
    """The step that writes the labels of the next round.

    Attributes:
        inputs: What the round looks at.
        cuts: Confidence from which on predictions of each class are taken.
        output: Folder of the new labels.
        classes: Classes of the project.
    """

    inputs: RoundInputs
    cuts: tuple[float, ...]
    output: str
    classes: tuple[str, ...]

    def __call__(self, item: GroupItem) -> ItemResult:
        """Correct a group; labels of other splits stay as the label model gave them."""
        settings = self.inputs.settings
        given_NK, before_NK, predicted_NK = self.inputs.read(item.key)
        taken_N = candidates(predicted_NK, given_NK, settings) & self.inputs.learned(item.shards)
        known_NK = np.nan_to_num(predicted_NK, nan=-1.0)
        taken_N &= known_NK.max(axis=1) >= np.array(self.cuts, np.float32)[known_NK.argmax(axis=1)]
        mixed_NK = mix(given_NK, predicted_NK, settings.given_weight)
        label_NK = np.where(taken_N[:, None], mixed_NK, given_NK).astype(np.float32)
        self._commit(item, label_NK, predicted_NK, taken_N)
        tally = self._tally(item, label_NK, before_NK, taken_N)
        return ItemResult(item=item.key, num_images=len(taken_N), value=tally)

    def _tally(
        self, item: GroupItem, label_NK: np.ndarray, before_NK: np.ndarray, taken_N: np.ndarray
    ) -> Tally:
        learned_N = self.inputs.learned(item.shards)
        now_N, before_N = hard(label_NK), hard(before_NK)
        images = read_images(self.inputs.location, item.shards, [schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        judged_N = learned_N & (truth_N >= 0) & (now_N >= 0)
        return Tally(
            chosen=int(taken_N.sum()),
            changed=int((learned_N & (before_N >= 0) & (now_N != before_N)).sum()),
            gained=int((learned_N & (before_N < 0) & (now_N >= 0)).sum()),
            right=int((judged_N & (now_N == truth_N)).sum()),
            judged=int(judged_N.sum()),
        )

    def _commit(
        self,
        item: GroupItem,
        label_NK: np.ndarray,
        predicted_NK: np.ndarray,
        taken_N: np.ndarray,
    ) -> None:
        fields, location = schema.pseudo_labels(len(self.classes)), self.inputs.location
        parts = [read_images(location, [shard], ["image_id"]) for shard in item.shards]
        label_N = hard(label_NK)
        columns = [
            pa.concat_tables(parts).column("image_id").combine_chunks(),
            known_column(label_NK, ~np.isnan(label_NK[:, 0]), fields.field(1)),
            known_column(label_N, label_N >= 0, fields.field(2)),
            known_column(predicted_NK, ~np.isnan(predicted_NK[:, 0]), fields.field(3)),
            pa.array(taken_N),
        ]
        whole = pa.Table.from_arrays(columns, schema=fields)
        starts = np.cumsum([0, *(part.num_rows for part in parts)]).tolist()
        shards = [
            whole.slice(start, part.num_rows) for start, part in zip(starts, parts, strict=False)
        ]
        Table(location, self.output).commit(item.name, shards)
