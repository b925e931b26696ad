"""One group of shards to the counts that the page shows; they add up over groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.work import Receipt
from wslabel.labeling.similarity import CosineVoter, SharedCosines
from wslabel.report.statistics import (
    CONFIDENCE_BINS,
    SCORE_BINS,
    Calibration,
    Histogram,
    calibrate,
    histogram,
    most,
    pairs,
)
from wslabel.steps.evaluate import Files
from wslabel.steps.group import read_images
from wslabel.steps.label import class_ids, votes_matrix
from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name

SHOWN = 8
"""Images of each class shown as the most confident, and as the most contested."""

SCORES = -1.0, 2.0
"""What a cosine, or a lead of one over another, can be."""

EXAMPLES = 3
"""Failed images named for each kind of error."""


@dataclass(frozen=True, order=True)
class Chosen:
    """An image to show; the lower `rank` comes first."""

    rank: float
    image_id: str
    shard: int
    row: int
    label: int
    confidence: float
    votes: tuple[int, ...]
    truth: int


@dataclass(frozen=True)
class Gathered:
    """What one or more groups show."""

    overlaps_MM: np.ndarray | None = None
    conflicts_MM: np.ndarray | None = None
    confidence: Histogram | None = None
    scores: Mapping[str, Histogram] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    confident: Mapping[int, tuple[Chosen, ...]] = field(default_factory=dict)
    contested: Mapping[int, tuple[Chosen, ...]] = field(default_factory=dict)
    images: Mapping[tuple[str, str | None], int] = field(default_factory=dict)

    def __add__(self, other: "Gathered") -> "Gathered":
        return Gathered(
            _plus(self.overlaps_MM, other.overlaps_MM),
            _plus(self.conflicts_MM, other.conflicts_MM),
            _plus(self.confidence, other.confidence),
            _each(self.scores, other.scores),
            _each(self.calibration, other.calibration),
            _best(self.confident, other.confident),
            _best(self.contested, other.contested),
            _each(self.images, other.images),
        )


def _plus(one: Any, other: Any) -> Any:
    return one + other if one is not None and other is not None else one if other is None else other


def _each(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: _plus(one.get(key), other.get(key)) for key in (*one, *other)}


def _best(
    one: Mapping[int, tuple[Chosen, ...]], other: Mapping[int, tuple[Chosen, ...]]
) -> dict[int, tuple[Chosen, ...]]:
    merged = {key: (*one.get(key, ()), *other.get(key, ())) for key in (*one, *other)}
    return {key: tuple(sorted(found)[:SHOWN]) for key, found in merged.items()}


@dataclass(frozen=True)
class Gather:
    """The step: read a group's votes, labels, predictions and scores, and count."""

    workspace: Location
    classes: tuple[str, ...]
    voters: Sequence[CosineVoter]
    folders: Mapping[str, str]
    generations: Mapping[str, Mapping[int, int]]

    def prepare(self, item: Files, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: Files, prepared: None) -> Receipt:
        """Count a group."""
        images = read_images(self.workspace, item.shards, ["image_id", "split", schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        split_N = images.column("split").to_numpy()
        probabilities = {v: self._probabilities(p) for v, p in item.predictions.items()}
        if item.labels is not None:
            probabilities["label model"] = self._probabilities(item.labels)
        test_N = np.where(split_N == "test", truth_N, schema.ABSTAIN)
        found = Gathered(
            scores=self._scores(item.shards),
            calibration={n: calibrate(probs_NK, test_N) for n, probs_NK in probabilities.items()},
            images=_counts(split_N, images.column(schema.TRUTH).to_numpy()),
        )
        if item.votes is not None and item.labels is not None:
            ids_N = images.column("image_id").to_numpy()
            found += self._labels(item, ids_N, truth_N, probabilities["label model"])
        return Receipt(item.key, len(truth_N), result=found)

    def _read(self, path: str, columns: Sequence[str] | None = None) -> Any:
        folder, _, name = path.rpartition("/")
        return Table(self.workspace, folder).read(name, columns)

    def _probabilities(self, path: str) -> np.ndarray:
        return to_array(self._read(path, ["probabilities"]).column(0))

    def _scores(self, shards: Sequence[int]) -> dict[str, Histogram]:
        found: dict[str, Histogram] = {}
        for feature in dict.fromkeys(voter.feature for voter in self.voters):
            table, known = Table(self.workspace, self.folders[feature]), self.generations[feature]
            shared = SharedCosines(tuple(v for v in self.voters if v.feature == feature))
            for shard in shards:
                read = table.read(shard_name(shard, known[shard]), ["embedding"])
                rows = shared.cosines(to_array(read.column("embedding")))
                for voter, own in zip(shared.voters, rows, strict=True):
                    one = histogram(voter.score(own), *SCORES, SCORE_BINS * 10)
                    found[voter.name] = _plus(found.get(voter.name), one)
        return found

    def _labels(
        self, item: Files, ids_N: np.ndarray, truth_N: np.ndarray, probs_NK: np.ndarray
    ) -> Gathered:
        assert item.votes is not None
        votes_NM = votes_matrix(self._read(item.votes))
        confidence_N = probs_NK.max(axis=1)
        label_N = np.where(np.isnan(confidence_N), schema.ABSTAIN, probs_NK.argmax(axis=1))
        highest_N = votes_NM.max(axis=1)
        lowest_N = np.where(votes_NM < 0, len(self.classes), votes_NM).min(axis=1)
        place = _places(self.workspace, item.shards)

        def choose(score_N: np.ndarray, among_N: np.ndarray) -> dict[int, tuple[Chosen, ...]]:
            chosen = {}
            for label in range(len(self.classes)):
                rows = most(score_N, among_N & (label_N == label), SHOWN)
                chosen[label] = tuple(
                    Chosen(
                        -float(score_N[row]),
                        str(ids_N[row]),
                        int(place[row, 0]),
                        int(place[row, 1]),
                        label,
                        float(confidence_N[row]),
                        tuple(votes_NM[row].tolist()),
                        int(truth_N[row]),
                    )
                    for row in rows
                )
            return chosen

        overlaps_MM, conflicts_MM = pairs(votes_NM, len(self.classes))
        return Gathered(
            overlaps_MM,
            conflicts_MM,
            histogram(confidence_N, 0.0, 1.0, CONFIDENCE_BINS),
            confident=choose(confidence_N, label_N >= 0),
            contested=choose(-confidence_N, lowest_N < highest_N),
        )


def _places(workspace: Location, shards: Sequence[int]) -> np.ndarray:
    """Give shard and row of each image of a group."""
    table = Table(workspace, "images")
    sizes = [table.footer(shard_name(shard)).num_rows for shard in shards]
    parts = [
        np.stack([np.full(n, shard), np.arange(n)], axis=1)
        for shard, n in zip(shards, sizes, strict=True)
    ]
    return np.concatenate(parts)


def _counts(split_N: np.ndarray, truth_N: np.ndarray) -> dict[tuple[str, str | None], int]:
    found: dict[tuple[str, str | None], int] = {}
    for key in zip(split_N.tolist(), truth_N.tolist(), strict=True):
        found[key] = found.get(key, 0) + 1
    return found
