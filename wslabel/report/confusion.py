"""What is taken for what: as a matrix of a few things, as the most frequent pairs of many."""

from collections.abc import Sequence

import numpy as np

from wslabel.report.presentation import SCREENFUL, Column, Kind, Table

MOST_IN_MATRIX = 20
"""Classes or labeling functions; a matrix of more fits no screen."""


def confusion_table(classes: Sequence[str], confusion_KK: np.ndarray, title: str) -> Table:
    """Lay out how often each true class (row) is labeled as each class (column)."""
    truths_K = confusion_KK.sum(axis=1)
    shares_KK = confusion_KK / np.maximum(truths_K, 1)[:, None]
    if len(classes) <= MOST_IN_MATRIX:
        columns = (
            Column("truth", key="true_class"),
            *(Column(name, Kind.COUNT, key=name) for name in classes),
        )
        counts = confusion_KK.tolist()
        note = "Truth downwards, labels across; the shade is the share of the truth's images."
        return _matrix(title, columns, classes, counts, shares_KK, note=note)
    wrong_KK = confusion_KK * ~np.eye(len(classes), dtype=bool)
    rows = [
        (classes[i], classes[j], int(confusion_KK[i, j]), float(shares_KK[i, j]))
        for i, j in _most(wrong_KK)
    ]
    return Table(
        title=title,
        columns=(
            *(Column("truth"), Column("label"), Column("images", Kind.COUNT)),
            Column("of the truth's", Kind.SHARE, key="share_of_truth"),
        ),
        rows=tuple(rows),
        limit=SCREENFUL,
        noun="confused pairs",
        num_naming=2,
        is_detail=True,
    )


def pair_table(
    names: Sequence[str], shares_MM: np.ndarray, title: str, note: str, share: str
) -> Table:
    """Lay out a share of each pair of labeling functions; of many, those where it is highest.

    Args:
        names: Names of the labeling functions.
        shares_MM: A share of each pair; symmetric.
        title: What is shared.
        note: What the share is of.
        share: Head of the column of shares.
    """
    if len(names) <= MOST_IN_MATRIX:
        columns = (Column("name"), *(Column(name, Kind.SHARE, key=name) for name in names))
        return _matrix(title, columns, names, shares_MM.tolist(), shares_MM, note=note)
    rows = [(names[i], names[j], float(shares_MM[i, j])) for i, j in _most(np.triu(shares_MM, 1))]
    return Table(
        title=title,
        columns=(Column("name"), Column("other"), Column(share, Kind.SHARE)),
        rows=tuple(rows),
        note=note,
        limit=SCREENFUL,
        noun="pairs",
        num_naming=2,
        is_detail=True,
    )


def _matrix(
    title: str,
    columns: tuple[Column, ...],
    names: Sequence[str],
    cells: Sequence[Sequence[float]],
    shades: np.ndarray,
    *,
    note: str,
) -> Table:
    return Table(
        title=title,
        columns=columns,
        rows=tuple((name, *own) for name, own in zip(names, cells, strict=True)),
        note=note,
        shades=tuple(map(tuple, shades.tolist())),
        is_detail=True,
    )


def _most(values_NN: np.ndarray) -> list[tuple[int, int]]:
    """Give the places of the values above zero, the highest first, ties in their order.

    >>> _most(np.array([[0, 3], [5, 0]]))
    [(1, 0), (0, 1)]
    """
    rows, columns = np.nonzero(values_NN)
    order = np.argsort(-values_NN[rows, columns], kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))
