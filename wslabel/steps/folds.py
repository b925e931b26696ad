"""Parts of the images that are held out in turn: one column `fold`, drawn once and kept."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.config import fingerprint
from wslabel.steps.examples import Column
from wslabel.steps.group import GroupWork, read_images
from wslabel.steps.label import class_ids
from wslabel.steps.tables import Derived, Tables
from wslabel.steps.train import column

SCHEMA = pa.schema([schema.IMAGE_ID, pa.field("fold", pa.int16(), nullable=False)])


def by_truth(tables: Tables, num_folds: int, seed: int) -> Column:
    """Draw folds that hold every class alike, by truth; for comparing, never for labels."""
    classes = tuple(tables.project.classes)

    def strata(work: GroupWork) -> np.ndarray:
        images = read_images(tables.location, work.shards, [schema.TRUTH])
        return class_ids(images.column(schema.TRUTH), classes)

    return _folds(tables, "truth", classes, num_folds, seed, strata)


def by_label(tables: Tables, num_folds: int, seed: int) -> Column:
    """Draw folds that hold every weak label alike; truth is not looked at."""
    labels = tables.labels

    def strata(work: GroupWork) -> np.ndarray:
        table = labels.table.read(work.name, ["label"])
        return to_array(table.column("label"))

    state = [labels.table.folder, labels.state]
    return _folds(tables, "labels", state, num_folds, seed, strata)


def _folds(
    tables: Tables,
    kind: str,
    state: object,
    num_folds: int,
    seed: int,
    strata: Callable[[GroupWork], np.ndarray],
) -> Column:
    identity = fingerprint(kind, state, num_folds, seed, tables.shards)
    derived = tables.whole(f"folds/{identity}")
    if derived.missing:
        parts = [strata(work) for work in derived.works]
        fold_N = deal_folds(np.concatenate(parts), num_folds, seed)
        _commit(tables, derived, fold_N)
    return column(tables, derived)


def deal_folds(stratum_N: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Deal images to folds at random so that of each stratum all folds get the same, but for one.

    >>> sorted(deal_folds(np.array([0, 0, 0, 0, 1, 1]), 2, 0).tolist())
    [0, 0, 0, 1, 1, 1]
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(stratum_N))
    order = order[np.argsort(stratum_N[order], kind="stable")]
    # Dealt on from one stratum to the next, so that the folds as a whole are of one size too.
    fold_N = np.empty(len(stratum_N), np.int16)
    fold_N[order] = np.arange(len(order)) % num_folds
    return fold_N


def _commit(tables: Tables, derived: Derived, fold_N: np.ndarray) -> None:
    start = 0
    for work in derived.works:
        parts = []
        for shard in work.shards:
            ids = read_images(tables.location, [shard], ["image_id"]).column("image_id")
            stop = start + len(ids)
            columns = [ids.combine_chunks(), pa.array(fold_N[start:stop])]
            parts.append(pa.Table.from_arrays(columns, schema=SCHEMA))
            start = stop
        derived.table.commit(work.name, parts)
