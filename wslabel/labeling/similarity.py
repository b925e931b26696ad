"""Similarity votes: the cosine between an image's embedding and the vectors of prompts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wslabel.labeling.batch import Batch, Votes
from wslabel.schema import ABSTAIN

ROWS = 512
"""Embeddings widened to float32 at a time, so that they stay in the cache."""


@dataclass(frozen=True, eq=False)
class SimilarityVoter:
    """Votes by prompts.

    Attributes:
        name: of the labeling function.
        feature: that holds the embedding.
        vectors_PD: L2-normalized vectors of the prompts.
        classes_P: class id of each prompt.
        above: cosine that a single class must exceed, None where classes compete.
        margin: by which the nearest class must lead over the next one.
    """

    name: str
    feature: str
    vectors_PD: np.ndarray
    classes_P: np.ndarray
    above: float | None
    margin: float

    @property
    def reads(self) -> tuple[str, ...]:
        """Column of the embedding feature."""
        return (f"{self.feature}.embedding",)

    def __call__(self, batch: Batch) -> Votes:
        """Vote on embeddings; an image without one abstains."""
        return self.vote(_cosines(self.vectors_PD, batch[self.reads[0]]))

    def vote(self, cosines_PN: np.ndarray) -> Votes:
        """Vote on the cosines to the prompts; comparisons with NaN are false, so it abstains."""
        classes = np.unique(self.classes_P)
        scores_KN = np.stack([cosines_PN[self.classes_P == k].max(axis=0) for k in classes])
        best_N = scores_KN.argmax(axis=0)
        votes = classes[best_N].astype(np.int8)
        if self.above is not None:
            return np.where(scores_KN[0] > self.above, votes, np.int8(ABSTAIN))
        leaders_N = scores_KN.max(axis=0)
        np.put_along_axis(scores_KN, best_N[None], -np.inf, axis=0)
        leads_N = leaders_N - scores_KN.max(axis=0) > self.margin
        return np.where(leads_N, votes, np.int8(ABSTAIN))


@dataclass(frozen=True, eq=False)
class SharedCosines:
    """The prompts of all similarity votes on one feature, so that it is multiplied only once."""

    voters: tuple[SimilarityVoter, ...]

    def __call__(self, batch: Batch) -> Iterable[Votes]:
        """Vote with all of them, in their order."""
        vectors_PD = np.concatenate([voter.vectors_PD for voter in self.voters])
        cosines_PN = _cosines(vectors_PD, batch[self.voters[0].reads[0]])
        ends = np.cumsum([len(voter.vectors_PD) for voter in self.voters])
        rows = np.split(cosines_PN, ends[:-1])
        return [voter.vote(own) for voter, own in zip(self.voters, rows, strict=True)]


def _cosines(vectors_PD: np.ndarray, embeddings_ND: np.ndarray) -> np.ndarray:
    """Multiply; prompts first, so that what each voter looks at lies together."""
    cosines_PN = np.empty((len(vectors_PD), len(embeddings_ND)), np.float32)
    for start in range(0, len(embeddings_ND), ROWS):
        part = slice(start, start + ROWS)
        cosines_PN[:, part] = (embeddings_ND[part].astype(np.float32) @ vectors_PD.T).T
    return cosines_PN
