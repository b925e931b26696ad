"""Which images the page shows: the most confident and the most contested ones of each class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wslabel import schema
from wslabel.report.statistics import most

FEW_CLASSES = 10
"""Of more classes, images are shown of all together, no two of one class."""

PER_CLASS, OF_ALL = 8, 24
"""Images shown of each of a few classes, and of many together."""


@dataclass(frozen=True, order=True, kw_only=True)
class Pick:
    """An image to show.

    Attributes:
        rank: Place among the others; the lower comes first.
        image_id: Id of the image.
        shard: Number of its shard.
        row: Its row in the shard.
        label: Id of the class that it is given.
        confidence: Probability of that class.
        votes: Vote of each labeling function.
        truth: Id of its true class; -1 where that is not known.
    """

    rank: float
    image_id: str
    shard: int
    row: int
    label: int
    confidence: float
    votes: tuple[int, ...]
    truth: int


Picks = Mapping[int, tuple[Pick, ...]]
"""Images by class."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The images of a group with all that is known of them.

    Attributes:
        ids_N: Ids of the images.
        place_N2: Shard and row of each.
        truth_N: Id of the true class; -1 where that is not known.
        votes_NM: Votes of the labeling functions.
        probs_NK: Probabilities of the label model; NaN without any vote.
    """

    ids_N: np.ndarray
    place_N2: np.ndarray
    truth_N: np.ndarray
    votes_NM: np.ndarray
    probs_NK: np.ndarray

    @cached_property
    def confidence(self) -> np.ndarray:
        """Highest probability of each image."""
        return np.asarray(self.probs_NK.max(axis=1))

    def confident(self) -> Picks:
        """Pick the images of each class whose label is the surest."""
        return self._picks(self.confidence, np.ones(len(self.ids_N), bool))

    def contested(self) -> Picks:
        """Pick the least sure images of each class among those with votes for several classes."""
        voted_NM = self.votes_NM != schema.ABSTAIN
        least_N = np.where(voted_NM, self.votes_NM, np.iinfo(self.votes_NM.dtype).max).min(axis=1)
        return self._picks(-self.confidence, least_N < self.votes_NM.max(axis=1))

    def _picks(self, score_N: np.ndarray, among_N: np.ndarray) -> Picks:
        among_N = among_N & ~np.isnan(self.confidence)
        label_N = np.where(among_N, np.nan_to_num(self.probs_NK, nan=-1.0).argmax(axis=1), -1)
        count = _per_class(self.probs_NK.shape[1])
        return {
            label: tuple(
                self._pick(row, label, -float(score_N[row]))
                for row in most(score_N, label_N == label, count).tolist()
            )
            for label in np.unique(label_N[among_N]).tolist()
        }

    def _pick(self, row: int, label: int, rank: float) -> Pick:
        shard, row_in_shard = self.place_N2[row].tolist()
        return Pick(
            rank=rank,
            image_id=str(self.ids_N[row]),
            shard=shard,
            row=row_in_shard,
            label=label,
            confidence=float(self.confidence[row]),
            votes=tuple(self.votes_NM[row].tolist()),
            truth=int(self.truth_N[row]),
        )


def _per_class(num_classes: int) -> int:
    return PER_CLASS if num_classes <= FEW_CLASSES else 1


def merged(first: Picks, second: Picks, num_classes: int) -> Picks:
    """Pick from the picks of several groups."""
    labels = sorted({*first, *second})
    both = {label: (*first.get(label, ()), *second.get(label, ())) for label in labels}
    return {label: tuple(sorted(own)[: _per_class(num_classes)]) for label, own in both.items()}


def of_all(picks: Picks) -> tuple[Pick, ...]:
    """Pick from those of all classes together."""
    return tuple(sorted(_flat(picks.values()))[:OF_ALL])


def _flat(parts: Iterable[tuple[Pick, ...]]) -> list[Pick]:
    return [pick for part in parts for pick in part]
