"""How labeling functions behave: coverage, overlaps, conflicts and, with truth, accuracy.

The counts are integers, so those of shards add up to those of the whole; the table is that of
Snorkel's `LFAnalysis.lf_summary`.

Shape legend: N images, M labeling functions, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wslabel.schema import ABSTAIN


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VoteCounts:
    """Everything that the table needs, countable shard by shard."""

    num_images: int
    num_truths: int
    num_votes_MK: NDArray[np.int64]
    num_overlaps_M: NDArray[np.int64]
    num_conflicts_M: NDArray[np.int64]
    num_correct_M: NDArray[np.int64]
    num_incorrect_M: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LfRow:
    """One labeling function in the table.

    Attributes:
        name: Name of the labeling function.
        polarity: ids of the classes that it voted for.
        classes: names of the classes that it voted for.
        coverage: share of the images that it voted on.
        overlaps: share of the images that it and another one voted on.
        conflicts: share of the images that it voted on, with votes for several classes.
        correct: number of its votes that equal the truth; None if no truth is known.
        incorrect: number of its votes that differ from the truth; None if no truth is known.
        empirical_accuracy: share of the correct among the two; None if no truth is known, and 0
            (as Snorkel has it) if it voted on no image with known truth.
    """

    name: str
    polarity: tuple[int, ...]
    classes: tuple[str, ...]
    coverage: float
    overlaps: float
    conflicts: float
    correct: int | None
    incorrect: int | None
    empirical_accuracy: float | None


def count(
    votes_NM: NDArray[np.integer[Any]], truth_N: NDArray[np.integer[Any]] | None, num_classes: int
) -> VoteCounts:
    """Count votes, overlaps and conflicts, and compare the votes with the truth where it is known.

    A truth of ABSTAIN is unknown: the image counts for coverage, overlaps and conflicts alone.
    Snorkel leaves it out of Correct and Incorrect too, yet takes it for wrong in Emp. Acc.; here
    the accuracy is over the images with known truth, as if only these had been given to Snorkel.
    """
    if truth_N is None:
        truth_N = np.full(len(votes_NM), ABSTAIN)
    assert truth_N.shape == votes_NM.shape[:1], "one truth per image"
    voted_NM = votes_NM != ABSTAIN
    known_N = truth_N != ABSTAIN
    correct_NM = voted_NM & (votes_NM == truth_N[:, None])
    judged_NM = voted_NM & known_N[:, None]
    num_correct_M = correct_NM.sum(axis=0)
    return VoteCounts(
        num_images=len(votes_NM),
        num_truths=int(known_N.sum()),
        num_votes_MK=_votes_per_class(votes_NM, num_classes),
        num_overlaps_M=voted_NM[voted_NM.sum(axis=1) > 1].sum(axis=0),
        num_conflicts_M=voted_NM[_conflicted(votes_NM, num_classes)].sum(axis=0),
        num_correct_M=num_correct_M,
        num_incorrect_M=judged_NM.sum(axis=0) - num_correct_M,
    )


def merge(a: VoteCounts, b: VoteCounts) -> VoteCounts:
    """Count the images of both, as if they had been counted together."""
    assert a.num_votes_MK.shape == b.num_votes_MK.shape, "counts of different votes"
    return VoteCounts(
        num_images=a.num_images + b.num_images,
        num_truths=a.num_truths + b.num_truths,
        num_votes_MK=a.num_votes_MK + b.num_votes_MK,
        num_overlaps_M=a.num_overlaps_M + b.num_overlaps_M,
        num_conflicts_M=a.num_conflicts_M + b.num_conflicts_M,
        num_correct_M=a.num_correct_M + b.num_correct_M,
        num_incorrect_M=a.num_incorrect_M + b.num_incorrect_M,
    )


def table(counts: VoteCounts, names: Sequence[str], class_names: Sequence[str]) -> list[LfRow]:
    """Lay out one row per labeling function, in the order of their votes."""
    assert counts.num_votes_MK.shape == (len(names), len(class_names)), "names of other votes"
    return [_row(counts, lf, name, class_names) for lf, name in enumerate(names)]


def _row(counts: VoteCounts, lf: int, name: str, class_names: Sequence[str]) -> LfRow:
    polarity = tuple(int(label) for label in np.flatnonzero(counts.num_votes_MK[lf]))
    num_images = max(1, counts.num_images)
    correct, incorrect = int(counts.num_correct_M[lf]), int(counts.num_incorrect_M[lf])
    has_truth = counts.num_truths > 0
    return LfRow(
        name=name,
        polarity=polarity,
        classes=tuple(class_names[label] for label in polarity),
        coverage=int(counts.num_votes_MK[lf].sum()) / num_images,
        overlaps=int(counts.num_overlaps_M[lf]) / num_images,
        conflicts=int(counts.num_conflicts_M[lf]) / num_images,
        correct=correct if has_truth else None,
        incorrect=incorrect if has_truth else None,
        empirical_accuracy=_accuracy(correct, incorrect) if has_truth else None,
    )


def _accuracy(correct: int, incorrect: int) -> float:
    if correct + incorrect == 0:
        return 0.0
    # Snorkel's own order of operations, so that the last bit agrees.
    return 0.5 * ((correct - incorrect) / (correct + incorrect) + 1)


def _votes_per_class(votes_NM: NDArray[np.integer[Any]], num_classes: int) -> NDArray[np.int64]:
    num_votes_MK = np.zeros((votes_NM.shape[1], num_classes), np.int64)
    for lf, votes_N in enumerate(votes_NM.T):
        num_votes_MK[lf] = np.bincount(votes_N[votes_N != ABSTAIN], minlength=num_classes)
    return num_votes_MK


def _conflicted(votes_NM: NDArray[np.integer[Any]], num_classes: int) -> NDArray[np.bool_]:
    highest_N = votes_NM.max(axis=1, initial=ABSTAIN)
    lowest_N = np.where(votes_NM == ABSTAIN, num_classes, votes_NM).min(axis=1, initial=num_classes)
    conflicted_N: NDArray[np.bool_] = lowest_N < highest_N
    return conflicted_N
