"""One group of shards to the counts that the page shows; they add up over groups."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.step import ItemResult
from wslabel.labeling.applier import own_batches
from wslabel.labeling.labeling_function import LabelingFunction
from wslabel.metrics import Calibration, calibrate
from wslabel.report.statistics import (
    CONFIDENCE_BINS,
    SCORE_BINS,
    Histogram,
    added,
    histogram,
    pairs,
)
from wslabel.stages.report.picks import Candidates, Picks, merged
from wslabel.storage.location import Location
from wslabel.storage.table import Generations, Table, shard_name
from wslabel.workspace.batches import BatchReader
from wslabel.workspace.evaluation_files import EvaluationFiles, read_path
from wslabel.workspace.images import class_ids, read_images, votes_matrix

LABEL_MODEL = "label model"


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelCounts:
    """What the votes and labels of one or more groups show.

    Attributes:
        num_classes: Classes of the project.
        overlaps_MM: Images on which two labeling functions both voted.
        conflicts_MM: Images on which they voted for different classes.
        confidence: Highest probability of each image.
        confident: The surest images of each class.
        contested: The least sure images with votes for several classes.
    """

    num_classes: int
    overlaps_MM: np.ndarray
    conflicts_MM: np.ndarray
    confidence: Histogram
    confident: Picks
    contested: Picks

    def __add__(self, other: "LabelCounts") -> "LabelCounts":
        return LabelCounts(
            num_classes=self.num_classes,
            overlaps_MM=self.overlaps_MM + other.overlaps_MM,
            conflicts_MM=self.conflicts_MM + other.conflicts_MM,
            confidence=self.confidence + other.confidence,
            confident=merged(self.confident, other.confident, self.num_classes),
            contested=merged(self.contested, other.contested, self.num_classes),
        )


@dataclass(frozen=True, kw_only=True)
class ReportCounts:
    """What one or more groups show.

    Attributes:
        labels: Votes and labels; None in a project without labeling functions.
        scores: Scores of the labeling functions that go by a number.
        calibration: Test images by confidence, of the label model and of each network.
        images: Images by split and name of the true class.
    """

    labels: LabelCounts | None = None
    scores: Mapping[str, Histogram] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    images: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def __add__(self, other: "ReportCounts") -> "ReportCounts":
        return ReportCounts(
            labels=_plus(self.labels, other.labels),
            scores=added(self.scores, other.scores),
            calibration=added(self.calibration, other.calibration),
            images=self.images + other.images,
        )


def _plus(first: LabelCounts | None, second: LabelCounts | None) -> LabelCounts | None:
    if first is None or second is None:
        return first if second is None else second
    return first + second


@dataclass(frozen=True, kw_only=True)
class ReportCountsStep:
    """The step: read a group's votes, labels, predictions and scores, and count.

    Attributes:
        location: Root of the workspace.
        classes: Class names in the order of their ids.
        functions: Labeling functions that go by a number.
        reader: What gives these their columns.
        generations: Newest generation of each shard in the features that they read.
    """

    location: Location
    classes: tuple[str, ...]
    functions: Sequence[LabelingFunction]
    reader: BatchReader
    generations: Mapping[str, Generations]

    def __call__(self, item: EvaluationFiles) -> ItemResult:
        """Count a group."""
        images = read_images(self.location, item.shards, ["image_id", "split", schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        split_N = images.column("split").to_numpy()
        tested_N = np.where(split_N == "test", truth_N, schema.ABSTAIN)
        probs = {name: self._probabilities(path) for name, path in item.predictions.items()}
        if item.labels is not None:
            probs[LABEL_MODEL] = self._probabilities(item.labels)
        truths = images.column(schema.TRUTH).to_pylist()
        counts = ReportCounts(
            labels=self._labels(item, images, truth_N, probs.get(LABEL_MODEL)),
            scores=self._scores(item.shards),
            calibration={name: calibrate(tested_N, probs_NK) for name, probs_NK in probs.items()},
            images=Counter(zip(split_N.tolist(), truths, strict=True)),
        )
        return ItemResult(item=item.key, num_images=len(truth_N), value=counts)

    def _probabilities(self, path: str) -> np.ndarray:
        return to_array(read_path(self.location, path, ["probabilities"]).column(0))

    def _labels(
        self,
        item: EvaluationFiles,
        images: pa.Table,
        truth_N: np.ndarray,
        probs_NK: np.ndarray | None,
    ) -> LabelCounts | None:
        if item.votes is None or probs_NK is None:
            return None
        labeled = Candidates(
            ids_N=images.column("image_id").to_numpy(),
            place_N2=_places(self.location, item.shards),
            truth_N=truth_N,
            votes_NM=votes_matrix(read_path(self.location, item.votes)),
            probs_NK=probs_NK,
        )
        overlaps_MM, conflicts_MM = pairs(labeled.votes_NM)
        return LabelCounts(
            num_classes=len(self.classes),
            overlaps_MM=overlaps_MM,
            conflicts_MM=conflicts_MM,
            confidence=histogram(labeled.confidence, 0.0, 1.0, CONFIDENCE_BINS),
            confident=labeled.confident(),
            contested=labeled.contested(),
        )

    def _scores(self, shards: Sequence[int]) -> dict[str, Histogram]:
        counted: dict[str, Histogram] = {}
        for shard in shards if self.functions else ():
            known = {name: newest[shard] for name, newest in self.generations.items()}
            for lf, own in own_batches(self.functions, self.reader.read(shard, known)):
                assert lf.score_range is not None
                scores = histogram(lf.scores(own), *lf.score_range, SCORE_BINS)
                counted[lf.name] = counted[lf.name] + scores if lf.name in counted else scores
        return counted


def _places(location: Location, shards: Sequence[int]) -> np.ndarray:
    """Give shard and row of each image of a group."""
    table = Table(location, "images")
    sizes = [table.footer(shard_name(shard)).num_rows for shard in shards]
    return np.concatenate(
        [
            np.stack([np.full(size, shard), np.arange(size)], axis=1)
            for shard, size in zip(shards, sizes, strict=True)
        ]
    )
