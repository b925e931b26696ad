"""All labeling functions together: batches of columns to the matrix of votes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from wslabel.errors import LabelingFunctionError
from wslabel.labeling.labeling_function import Batch, LabelingFunction
from wslabel.labeling.similarity import cosines
from wslabel.schema import ABSTAIN


@dataclass(frozen=True, eq=False)
class LFApplier:
    """Labeling functions in the order of their columns.

    Attributes:
        functions: The labeling functions.
        num_classes: Classes that they may vote for.
    """

    functions: Sequence[LabelingFunction]
    num_classes: int

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that any of them looks at."""
        return tuple(dict.fromkeys(column for lf in self.functions for column in lf.reads))

    def __call__(self, batch: Batch) -> np.ndarray:
        """Vote on a batch; int8 [n, m].

        Raises:
            LabelingFunctionError: One raised, or gave something else than votes; names it and an
                image.
        """
        batch = with_cosines(self.functions, batch)
        return np.stack([self._votes(lf, batch) for lf in self.functions], axis=1)

    def _votes(self, lf: LabelingFunction, batch: Batch) -> np.ndarray:
        try:
            votes = lf(batch)
        except Exception as error:  # noqa: BLE001 - blamed on the function and raised
            _blame(lf, batch, error)
        return self._checked(lf, batch, votes)

    def _checked(self, lf: LabelingFunction, batch: Batch, votes: np.ndarray) -> np.ndarray:
        num_images = len(batch["image_id"])
        if votes.shape != (num_images,) or not np.issubdtype(votes.dtype, np.integer):
            raise LabelingFunctionError(
                f"labeling function {lf.name}: expected {num_images} integers for the images "
                f"from '{batch['image_id'][0]}', found {votes.dtype} of shape {votes.shape}"
            )
        wrong = np.flatnonzero((votes < ABSTAIN) | (votes >= self.num_classes))
        if len(wrong):
            raise LabelingFunctionError(
                f"labeling function {lf.name}: voted {votes[wrong[0]]} on image "
                f"'{batch['image_id'][wrong[0]]}'; expected -1 to {self.num_classes - 1}"
            )
        return votes.astype(np.int8)


def with_cosines(functions: Sequence[LabelingFunction], batch: Batch) -> Batch:
    """Add the cosines of all functions that go by them; each embedding is multiplied only once."""
    vectors: dict[str, dict[str, np.ndarray]] = {}
    for lf in functions:
        if lf.embedding is not None:
            feature, vectors_PD = lf.embedding
            vectors.setdefault(feature, {})[lf.cosines_column] = vectors_PD
    return {**batch, **_shared_cosines(vectors, batch)}


def _shared_cosines(
    vectors: Mapping[str, Mapping[str, np.ndarray]], batch: Batch
) -> dict[str, np.ndarray]:
    shared: dict[str, np.ndarray] = {}
    for feature, by_column in vectors.items():
        products_PN = cosines(
            np.concatenate(list(by_column.values())), batch[f"{feature}.embedding"]
        )
        ends = np.cumsum([len(vectors_PD) for vectors_PD in by_column.values()])
        shared |= dict(zip(by_column, np.split(products_PN, ends[:-1]), strict=True))
    return shared


def _blame(lf: LabelingFunction, batch: Batch, error: Exception) -> NoReturn:
    """Find the first image on which a labeling function fails alone, and say so."""
    blamed, reason = batch["image_id"][0], error
    columns = {name: batch[name] for name in ("image_id", *lf.reads)}
    for row, image_id in enumerate(batch["image_id"]):
        try:
            lf({name: column[row : row + 1] for name, column in columns.items()})
        except Exception as alone:  # noqa: BLE001 - whatever it is, it is raised below
            blamed, reason = image_id, alone
            break
    text = f"{type(reason).__name__}: {reason}"
    raise LabelingFunctionError(
        f"labeling function {lf.name} raised on image '{blamed}': {text}"
    ) from error
