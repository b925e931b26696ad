"""What networks learn of each image, and which images they learn from."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name
from wslabel.training import soft_labels
from wslabel.workspace.images import class_ids
from wslabel.workspace.shard_reader import FoldPart, ShardReader


class ShardTargets(NamedTuple):
    """What is learned of the images of one shard.

    Attributes:
        targets_NK: Labels as probabilities.
        weights_N: What each image counts.
        is_chosen_N: Whether each image is learned from.
    """

    targets_NK: np.ndarray
    weights_N: np.ndarray
    is_chosen_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What networks learn of each image, and which images they learn from.

    Attributes:
        classes: Class names in the order of their ids.
        splits: Splits of the images that are learned from.
        kind: `original` for truth, `soft` or `hard` for weak labels, None for images alone.
        labels: Table of weak labels; None for truth.
        parts: Parts of the images in all of which an image must be.
        confidence_threshold: Images whose weak label is less probable are left out.
        unlabeled: Whether images without a label stay, with weight 0.
        smoothing: Share of each label that is spread over the classes, and in which form.
        class_weights: What an image of each class counts; None for all alike.
        by_confidence: Whether images count by the probability of their label.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    kind: str | None
    labels: ShardReader | None = None
    parts: tuple[FoldPart, ...] = ()
    confidence_threshold: float = 0.0
    unlabeled: bool = False
    smoothing: tuple[float, str] = (0.0, "uniform")
    class_weights: tuple[float, ...] | None = None
    by_confidence: bool = False

    def read(self, workspace: Location, shard: int) -> ShardTargets:
        """Read what is learned of the images of a shard."""
        is_truth = self.kind == "original"
        columns = ["split", schema.TRUTH] if is_truth else ["split"]
        images = Table(workspace, "images").read(shard_name(shard), columns)
        is_in_split_N = self._is_meant(images, shard)
        if self.kind is None:
            return _unlabeled(is_in_split_N)
        given_NK, confidence_N = self._truth(images) if is_truth else self._weak(shard)
        is_sure_N = (confidence_N > 0) & (confidence_N >= self.confidence_threshold)
        weights_N = soft_labels.image_weights(
            given_NK, self.class_weights, confidence_N if self.by_confidence else None
        )
        smooth_NK = soft_labels.smooth(given_NK, *self.smoothing).astype(np.float32)
        is_chosen_N = is_in_split_N & (is_sure_N | self.unlabeled)
        return ShardTargets(smooth_NK, weights_N * is_sure_N, is_chosen_N)

    def _is_meant(self, images: pa.Table, shard: int) -> np.ndarray:
        is_meant_N = np.isin(images.column("split").to_numpy(), self.splits)
        for part in self.parts:
            is_meant_N &= part.mask(shard)
        return is_meant_N

    def _truth(self, images: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        ids_N = class_ids(images.column(schema.TRUTH), self.classes)
        return one_hot(ids_N, len(self.classes)), np.asarray(ids_N >= 0, np.float32)

    def _weak(self, shard: int) -> tuple[np.ndarray, np.ndarray]:
        assert self.labels is not None
        table = self.labels.read(shard, ["probabilities", "label"])
        probs_NK = to_array(table.column("probabilities"))
        confidence_N = soft_labels.confidence(probs_NK)
        if self.kind == "hard":
            ids_N = to_array(table.column("label"))
            return one_hot(ids_N, len(self.classes)), confidence_N * (ids_N >= 0)
        return np.nan_to_num(probs_NK, nan=0.0), confidence_N


def _unlabeled(is_chosen_N: np.ndarray) -> ShardTargets:
    num_images = len(is_chosen_N)
    no_labels_NK = np.zeros((num_images, 0), np.float32)
    return ShardTargets(no_labels_NK, np.ones(num_images, np.float32), is_chosen_N)


def one_hot(ids_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Turn class ids into probabilities; an id of -1 gives zeros.

    >>> one_hot(np.array([1, -1]), 2).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return np.asarray(ids_N[:, None] == np.arange(num_classes), np.float32)
