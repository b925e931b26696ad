"""Derived tables go by groups of shards, named by what they are made of."""

from pathlib import Path

import pytest

from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.workspace.groups import GroupTable, group_items


def test_shards_are_cut_into_groups_with_the_generations_of_their_inputs() -> None:
    first, second = group_items(range(66), {"color": dict.fromkeys(range(66), 0) | {65: 2}})
    assert (first.key, first.name, first.shards) == (0, "00000-00063.parquet", tuple(range(64)))
    assert first.generations == {"color": (0,) * 64}
    assert (second.key, second.shards) == (64, (64, 65))
    assert second.generations == {"color": (0, 2)}
    assert second.name.startswith("00064-00065.")
    assert second.name != "00064-00065.parquet"


def test_without_inputs_names_hang_on_the_manifest_alone() -> None:
    assert [item.name for item in group_items([0, 1, 70], {})] == [
        "00000-00001.parquet",
        "00070-00070.parquet",
    ]


def test_a_table_knows_its_state_and_the_group_of_a_shard(tmp_path: Path) -> None:
    items = group_items(range(70), {})
    derived = GroupTable(
        table=Table(Location(str(tmp_path)), "votes/x"), items=items, missing=items[1:]
    )
    assert derived.state == ["00000-00063.parquet", "00064-00069.parquet"]
    assert derived.item_of(63) is items[0]
    assert derived.item_of(64) is items[1]
    with pytest.raises(StopIteration):
        derived.item_of(70)
