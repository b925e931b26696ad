"""Tables that are derived from others: one file per group of shards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wslabel.storage.table import Generations, Table, groups


@dataclass(frozen=True, kw_only=True)
class GroupItem:
    """One file of a derived table.

    Attributes:
        key: Number of the group's first shard.
        name: Name of the file to make.
        shards: Shards that it covers.
        generations: Generation of each shard in each input table, in the order of `shards`.
    """

    key: int
    name: str
    shards: tuple[int, ...]
    generations: Mapping[str, tuple[int, ...]]


def group_items(shards: Sequence[int], inputs: Mapping[str, Generations]) -> list[GroupItem]:
    """Cut shards into the groups that a table derived from `inputs` consists of."""
    return [
        GroupItem(
            key=group.shards[0],
            name=group.name,
            shards=group.shards,
            generations={
                name: tuple(known[s] for s in group.shards) for name, known in inputs.items()
            },
        )
        for group in groups(shards, list(inputs.values()))
    ]


@dataclass(frozen=True, kw_only=True)
class GroupTable:
    """A derived table: where it is, the files it consists of, those that are missing.

    Attributes:
        table: Folder of the table.
        items: All files, made or not.
        missing: Files that are not made yet.
        leftovers: Names of files that newer ones stand for.
    """

    table: Table
    items: list[GroupItem]
    missing: list[GroupItem]
    leftovers: tuple[str, ...] = ()

    @property
    def state(self) -> list[str]:
        """Name the files it consists of; with its folder they determine its content."""
        return [item.name for item in self.items]

    def item_of(self, shard: int) -> GroupItem:
        """Find the group that a shard is in."""
        return next(item for item in self.items if shard in item.shards)
