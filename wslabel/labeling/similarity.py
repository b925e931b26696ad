"""Similarity votes: the cosine between an image's embedding and vectors of prompts or examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wslabel.labeling.batch import Batch, Votes
from wslabel.schema import ABSTAIN

ROWS = 512
"""Embeddings widened to float32 at a time, so that they stay in the cache."""


class CosineVoter(Protocol):
    """A labeling function that needs nothing but the cosines to vectors of its own."""

    @property
    def name(self) -> str:
        """Name of its column in the votes table."""
        ...

    @property
    def feature(self) -> str:
        """Name of the feature that holds the embedding."""
        ...

    @property
    def vectors_PD(self) -> np.ndarray:  # noqa: N802 - the shape is part of the name
        """L2-normalized vectors of its prompts."""
        ...

    def score(self, cosines_PN: np.ndarray) -> np.ndarray:
        """Give the number that it compares with its threshold; NaN without an embedding."""
        ...

    def vote(self, cosines_PN: np.ndarray) -> Votes:
        """Vote on the cosines; comparisons with NaN are false, so it abstains."""
        ...


class _OnEmbeddings:
    """What all of them do alike."""

    def __call__(self: CosineVoter, batch: Batch) -> Votes:
        """Vote on embeddings; an image without one abstains."""
        return self.vote(cosines(self.vectors_PD, batch[f"{self.feature}.embedding"]))

    @property
    def reads(self: CosineVoter) -> tuple[str, ...]:
        """Column of the embedding feature."""
        return (f"{self.feature}.embedding",)


@dataclass(frozen=True, eq=False)
class PromptsVoter(_OnEmbeddings):
    """Votes for the class of the nearest prompt, if it leads over the next class by more.

    Attributes:
        name: of the labeling function.
        feature: that holds the embedding.
        vectors_PD: L2-normalized vectors of the prompts.
        classes_P: class id of each prompt, of at least two classes.
        margin: by which the nearest class must lead.
    """

    name: str
    feature: str
    vectors_PD: np.ndarray
    classes_P: np.ndarray
    margin: float

    def score(self, cosines_PN: np.ndarray) -> np.ndarray:
        """Give the lead of the nearest class over the next one."""
        return self._ranked(cosines_PN)[1]

    def vote(self, cosines_PN: np.ndarray) -> Votes:
        """Vote where the lead exceeds the margin."""
        votes, leads_N = self._ranked(cosines_PN)
        return np.where(leads_N > self.margin, votes, np.int8(ABSTAIN))

    def _ranked(self, cosines_PN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes = np.unique(self.classes_P)
        scores_KN = np.stack([cosines_PN[self.classes_P == k].max(axis=0) for k in classes])
        best_N = scores_KN.argmax(axis=0)
        leaders_N = scores_KN.max(axis=0)
        np.put_along_axis(scores_KN, best_N[None], -np.inf, axis=0)
        return classes[best_N].astype(np.int8), leaders_N - scores_KN.max(axis=0)


@dataclass(frozen=True, eq=False)
class ThresholdVoter(_OnEmbeddings):
    """Votes by the cosine to one vector.

    Attributes:
        name: of the labeling function.
        feature: that holds the embedding.
        vectors_PD: one L2-normalized vector, of a prompt or an example image.
        above: cosine above which it votes `over`, None to abstain there.
        below: cosine below which it votes `under`, None to abstain there.
        over: class id.
        under: class id.
    """

    name: str
    feature: str
    vectors_PD: np.ndarray
    above: float | None
    below: float | None
    over: int
    under: int

    def score(self, cosines_PN: np.ndarray) -> np.ndarray:
        """Give the cosine."""
        return np.asarray(cosines_PN[0])

    def vote(self, cosines_PN: np.ndarray) -> Votes:
        """Vote where the cosine is beyond a threshold."""
        votes = np.full(cosines_PN.shape[1], ABSTAIN, np.int8)
        if self.above is not None:
            votes[cosines_PN[0] > self.above] = self.over
        if self.below is not None:
            votes[cosines_PN[0] < self.below] = self.under
        return votes


@dataclass(frozen=True, eq=False)
class SharedCosines:
    """The prompts of all similarity votes on one feature, so that it is multiplied only once."""

    voters: tuple[CosineVoter, ...]

    def __call__(self, batch: Batch) -> Iterable[Votes]:
        """Vote with all of them, in their order."""
        rows = self.cosines(batch[f"{self.voters[0].feature}.embedding"])
        return [voter.vote(own) for voter, own in zip(self.voters, rows, strict=True)]

    def cosines(self, embeddings_ND: np.ndarray) -> list[np.ndarray]:
        """Give each of them the cosines to its own prompts."""
        vectors_PD = np.concatenate([voter.vectors_PD for voter in self.voters])
        ends = np.cumsum([len(voter.vectors_PD) for voter in self.voters])
        return np.split(cosines(vectors_PD, embeddings_ND), ends[:-1])


def cosines(vectors_PD: np.ndarray, embeddings_ND: np.ndarray) -> np.ndarray:
    """Multiply; prompts first, so that what each voter looks at lies together."""
    cosines_PN = np.empty((len(vectors_PD), len(embeddings_ND)), np.float32)
    for start in range(0, len(embeddings_ND), ROWS):
        part = slice(start, start + ROWS)
        cosines_PN[:, part] = (embeddings_ND[part].astype(np.float32) @ vectors_PD.T).T
    return cosines_PN
