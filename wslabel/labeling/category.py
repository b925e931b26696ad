"""Category votes: a classifier's top category, looked up in a table made once from word vectors."""

from dataclasses import dataclass

import numpy as np

from wslabel.labeling.batch import Batch, Votes
from wslabel.schema import ABSTAIN


@dataclass(frozen=True, eq=False)
class CategoryVoter:
    """Votes by the top category; `votes_C` holds each category's class id or ABSTAIN."""

    name: str
    feature: str
    votes_C: np.ndarray
    min_probability: float

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the classifier feature."""
        return (f"{self.feature}.category_ids", f"{self.feature}.category_probabilities")

    def __call__(self, batch: Batch) -> Votes:
        """Vote; an image without categories or with an unsure one abstains."""
        ids_N, probabilities_N = (batch[column][:, 0] for column in self.reads)
        # A missing probability is NaN and fails the comparison too.
        sure_N = (ids_N >= 0) & (probabilities_N >= self.min_probability)
        return np.where(sure_N, self.votes_C[ids_N], np.int8(ABSTAIN))
