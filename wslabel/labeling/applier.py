"""All labeling functions together: batches of columns to the matrix of votes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from wslabel.errors import LabelingFunctionError
from wslabel.labeling.labeling_function import Batch, LabelingFunction
from wslabel.labeling.similarity import cosines
from wslabel.schema import ABSTAIN, RESERVED


@dataclass(frozen=True, eq=False)
class LFApplier:
    """Labeling functions in the order of their columns.

    Attributes:
        functions: The labeling functions.
        num_classes: Classes that they may vote for.
    """

    functions: Sequence[LabelingFunction]
    num_classes: int

    def __post_init__(self) -> None:
        """Refuse a function that would read truth, or what may give it away.

        Raises:
            LabelingFunctionError: Names the function and the column.
        """
        for lf in self.functions:
            for column in lf.reads:
                if column in RESERVED:
                    raise LabelingFunctionError(
                        f"labeling function {lf.name}: must not see '{column}', which may tell the "
                        "class; name metadata columns and columns of features"
                    )

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that any of them looks at."""
        return tuple(dict.fromkeys(column for lf in self.functions for column in lf.reads))

    def __call__(self, batch: Batch) -> np.ndarray:
        """Vote on a batch, whose `image_id` is for messages alone; int8 [n, m].

        Raises:
            LabelingFunctionError: One raised, or gave something else than votes; names it and an
                image.
        """
        ids = batch["image_id"]
        votes = [self._votes(lf, own, ids) for lf, own in own_batches(self.functions, batch)]
        return np.stack(votes, axis=1)

    def _votes(self, lf: LabelingFunction, own: Batch, ids: np.ndarray) -> np.ndarray:
        try:
            votes = lf(own)
        except Exception as error:  # noqa: BLE001 - blamed on the function and raised
            _blame(lf, own, ids, error)
        return self._checked(lf, ids, votes)

    def _checked(self, lf: LabelingFunction, ids: np.ndarray, votes: np.ndarray) -> np.ndarray:
        num_images = len(ids)
        if votes.shape != (num_images,) or not np.issubdtype(votes.dtype, np.integer):
            raise LabelingFunctionError(
                f"labeling function {lf.name}: expected {num_images} integers for the images "
                f"from '{ids[0]}', found {votes.dtype} of shape {votes.shape}"
            )
        wrong = np.flatnonzero((votes < ABSTAIN) | (votes >= self.num_classes))
        if len(wrong):
            raise LabelingFunctionError(
                f"labeling function {lf.name}: voted {votes[wrong[0]]} on image "
                f"'{ids[wrong[0]]}'; expected -1 to {self.num_classes - 1}"
            )
        return votes.astype(np.int8)


def own_batches(
    functions: Sequence[LabelingFunction], batch: Batch
) -> Iterator[tuple[LabelingFunction, Batch]]:
    """Give each function the columns that it reads and no others, and its cosines if any.

    Each embedding is multiplied only once, with the vectors of all functions that go by it.
    """
    vectors: dict[str, dict[str, np.ndarray]] = {}
    for lf in functions:
        if lf.embedding is not None:
            feature, vectors_PD = lf.embedding
            vectors.setdefault(feature, {})[lf.cosines_column] = vectors_PD
    shared = _shared_cosines(vectors, batch)
    for lf in functions:
        own = {column: batch[column] for column in lf.reads}
        if lf.embedding is not None:
            own[lf.cosines_column] = shared[lf.cosines_column]
        yield lf, own


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


def _blame(lf: LabelingFunction, own: Batch, ids: np.ndarray, error: Exception) -> NoReturn:
    """Find the first image on which a labeling function fails alone, and say so."""
    blamed, reason = ids[0], error
    columns = {name: own[name] for name in lf.reads}
    for row, image_id in enumerate(ids):
        try:
            lf({name: column[row : row + 1] for name, column in columns.items()})
        except Exception as alone:  # noqa: BLE001 - whatever it is, it is raised below
            blamed, reason = image_id, alone
            break
    text = f"{type(reason).__name__}: {reason}"
    raise LabelingFunctionError(
        f"labeling function {lf.name} raised on image '{blamed}': {text}"
    ) from error
