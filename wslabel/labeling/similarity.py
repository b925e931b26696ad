"""Similarity votes: the cosine between an image's embedding and the vectors of prompts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wslabel.columns import batches
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
        embeddings_ND = batch[self.reads[0]].astype(np.float32)
        return self.vote(embeddings_ND @ self.vectors_PD.T)

    def vote(self, cosines_NP: np.ndarray) -> Votes:
        """Vote on the cosines to the prompts; comparisons with NaN are false, so it abstains."""
        classes = np.unique(self.classes_P)
        scores_NK = np.stack(
            [cosines_NP[:, self.classes_P == k].max(axis=1) for k in classes], axis=1
        )
        best_N = scores_NK.argmax(axis=1)
        votes = classes[best_N].astype(np.int8)
        if self.above is not None:
            return np.where(scores_NK[:, 0] > self.above, votes, np.int8(ABSTAIN))
        ranked_NK = np.sort(scores_NK, axis=1)
        leads_N = ranked_NK[:, -1] - ranked_NK[:, -2] > self.margin
        return np.where(leads_N, votes, np.int8(ABSTAIN))


@dataclass(frozen=True, eq=False)
class SharedCosines:
    """The prompts of all similarity votes on one feature, so that it is multiplied only once."""

    voters: tuple[SimilarityVoter, ...]

    def __call__(self, batch: Batch) -> Iterable[Votes]:
        """Vote with all of them, in their order."""
        vectors_PD = np.concatenate([voter.vectors_PD for voter in self.voters])
        parts = batches(batch[self.voters[0].reads[0]], ROWS)
        cosines = np.concatenate([part.astype(np.float32) @ vectors_PD.T for part in parts])
        ends = np.cumsum([len(voter.vectors_PD) for voter in self.voters])
        columns = np.split(cosines, ends[:-1], axis=1)
        return [voter.vote(own) for voter, own in zip(self.voters, columns, strict=True)]
