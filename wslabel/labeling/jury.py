"""All labeling functions together: batches of columns to the matrix of votes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from wslabel.errors import LabelingFunctionError
from wslabel.labeling.batch import Batch, Voter
from wslabel.labeling.similarity import CosineVoter, PromptsVoter, SharedCosines, ThresholdVoter
from wslabel.schema import ABSTAIN


@dataclass(frozen=True, eq=False)
class Jury:
    """Labeling functions in the order of their columns."""

    voters: Sequence[Voter]
    num_classes: int

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that any of them looks at."""
        return tuple(dict.fromkeys(column for voter in self.voters for column in voter.reads))

    def __call__(self, batch: Batch) -> np.ndarray:
        """Vote on a batch; int8 [n, m].

        Raises:
            LabelingFunctionError: one raised, or gave something else than votes; names it and an
                image.
        """
        votes: dict[str, np.ndarray] = {}
        for shared in self._shared():
            found = zip(shared.voters, shared(batch), strict=True)
            votes |= {voter.name: column for voter, column in found}
        for voter in self.voters:
            if voter.name not in votes:
                votes[voter.name] = self._one(voter, batch)
        return np.stack([votes[voter.name] for voter in self.voters], axis=1)

    def _shared(self) -> list[SharedCosines]:
        by_feature: dict[str, list[CosineVoter]] = {}
        for voter in self.voters:
            if isinstance(voter, PromptsVoter | ThresholdVoter):
                by_feature.setdefault(voter.feature, []).append(voter)
        return [SharedCosines(tuple(voters)) for voters in by_feature.values()]

    def _one(self, voter: Voter, batch: Batch) -> np.ndarray:
        try:
            votes = voter(batch)
        except Exception as error:  # noqa: BLE001 - blamed on the function and raised
            _blame(voter, batch, error)
        return self._checked(voter, batch, votes)

    def _checked(self, voter: Voter, batch: Batch, votes: np.ndarray) -> np.ndarray:
        num_images = len(batch["image_id"])
        if votes.shape != (num_images,) or not np.issubdtype(votes.dtype, np.integer):
            raise LabelingFunctionError(
                f"labeling function {voter.name}: expected {num_images} integers for the images "
                f"from '{batch['image_id'][0]}', found {votes.dtype} of shape {votes.shape}"
            )
        wrong = np.flatnonzero((votes < ABSTAIN) | (votes >= self.num_classes))
        if len(wrong):
            raise LabelingFunctionError(
                f"labeling function {voter.name}: voted {votes[wrong[0]]} on image "
                f"'{batch['image_id'][wrong[0]]}'; expected -1 to {self.num_classes - 1}"
            )
        return votes.astype(np.int8)


def _blame(voter: Voter, batch: Batch, error: Exception) -> NoReturn:
    """Find the first image on which a labeling function fails alone, and say so."""
    blamed, reason = batch["image_id"][0], error
    for row, image_id in enumerate(batch["image_id"]):
        try:
            voter({name: column[row : row + 1] for name, column in batch.items()})
        except Exception as alone:  # noqa: BLE001 - whatever it is, it is raised below
            blamed, reason = image_id, alone
            break
    text = f"{type(reason).__name__}: {reason}"
    raise LabelingFunctionError(
        f"labeling function {voter.name} raised on image '{blamed}': {text}"
    ) from error
