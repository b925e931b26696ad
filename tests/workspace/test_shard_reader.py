"""One shard or one group of a derived table is read at a time."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name
from wslabel.workspace.groups import GroupTable, group_items
from wslabel.workspace.shard_reader import FoldPart, ShardReader, shard_reader

FOLDS = {0: [0, 1, 1], 1: [1], 2: [0, 0], 64: [2, None]}
"""Fold of each image by shard; the last image has none."""


def _folds(folds: list[int | None]) -> pa.Table:
    ids = [str(row) for row in range(len(folds))]
    return pa.table({"image_id": ids, "fold": pa.array(folds, pa.int16())})


@pytest.fixture
def folds(tmp_path: Path) -> ShardReader:
    table = Table(Location(str(tmp_path)), "folds/x")
    items = group_items(list(FOLDS), {})
    for item in items:
        shards = [_folds(FOLDS[s]) for s in item.shards]
        table.commit(item.name, shards)
        for shard, rows in zip(item.shards, shards, strict=True):
            Table(table.location, "images").commit(shard_name(shard), [rows])
    return shard_reader(GroupTable(table=table, items=items, missing=[]))


@pytest.mark.parametrize("shard", FOLDS)
def test_one_shard_is_read(folds: ShardReader, shard: int) -> None:
    assert folds.read(shard, ["fold"]).to_pydict() == {"fold": FOLDS[shard]}


def test_one_group_is_read(folds: ShardReader) -> None:
    assert folds.read_group(0, ["fold"]).column("fold").to_pylist() == [0, 1, 1, 1, 0, 0]
    assert folds.read_group(64, ["fold"]).column("fold").to_pylist() == [2, None]


def test_a_fold_and_all_others_are_all_images(folds: ShardReader) -> None:
    for shard in FOLDS:
        held, others = (FoldPart(folds, 1, is_held=held).mask(shard) for held in (True, False))
        assert held.tolist() == [fold == 1 for fold in FOLDS[shard]]
        assert np.array_equal(others, ~held)
