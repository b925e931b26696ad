"""Parts of the images that are held out in turn: one column `fold`, drawn once and kept."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.config.fingerprint import fingerprint
from wslabel.workspace.groups import GroupItem, GroupTable
from wslabel.workspace.images import class_ids, read_images
from wslabel.workspace.shard_reader import ShardReader, shard_reader
from wslabel.workspace.workspace import Workspace

SCHEMA = pa.schema([schema.IMAGE_ID, pa.field("fold", pa.int16(), nullable=False)])

Strata = Callable[[GroupItem], np.ndarray]
"""Gives the stratum of each image of a group."""


def by_truth(workspace: Workspace, num_folds: int, seed: int) -> ShardReader:
    """Draw folds that hold every class alike, by truth; for comparing, never for labels."""
    classes = tuple(workspace.project.classes)

    def strata(group: GroupItem) -> np.ndarray:
        images = read_images(workspace.location, group.shards, [schema.TRUTH])
        return class_ids(images.column(schema.TRUTH), classes)

    identity = fingerprint("truth", classes, num_folds, seed, workspace.shards)
    return _folds(workspace, identity, num_folds, seed, strata)


def by_label(workspace: Workspace, num_folds: int, seed: int) -> ShardReader:
    """Draw folds that hold every weak label alike; truth is not looked at."""
    labels = workspace.labels

    def strata(group: GroupItem) -> np.ndarray:
        return to_array(labels.table.read(group.name, ["label"]).column("label"))

    state = [labels.table.folder, labels.state]
    identity = fingerprint("labels", state, num_folds, seed, workspace.shards)
    return _folds(workspace, identity, num_folds, seed, strata)


def _folds(
    workspace: Workspace, identity: str, num_folds: int, seed: int, strata: Strata
) -> ShardReader:
    table = workspace.derived(f"folds/{identity}")
    if table.missing:
        strata_N = np.concatenate([strata(group) for group in table.items])
        _commit(workspace, table, assign_folds(strata_N, num_folds, seed))
    return shard_reader(table)


def assign_folds(stratum_N: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Assign images to folds at random so that all folds get as many of each stratum, but for one.

    >>> sorted(assign_folds(np.array([0, 0, 0, 0, 1, 1]), 2, 0).tolist())
    [0, 0, 0, 1, 1, 1]
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(stratum_N))
    order = order[np.argsort(stratum_N[order], kind="stable")]
    # On from one stratum to the next, so that the folds as a whole are of one size too.
    fold_N = np.empty(len(stratum_N), np.int16)
    fold_N[order] = np.arange(len(order)) % num_folds
    return fold_N


def _commit(workspace: Workspace, table: GroupTable, fold_N: np.ndarray) -> None:
    start = 0
    for group in table.items:
        shards = []
        for shard in group.shards:
            ids = read_images(workspace.location, [shard], ["image_id"]).column("image_id")
            stop = start + len(ids)
            columns = [ids.combine_chunks(), pa.array(fold_N[start:stop])]
            shards.append(pa.Table.from_arrays(columns, schema=SCHEMA))
            start = stop
        table.table.commit(group.name, shards)
