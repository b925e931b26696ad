"""One group of shards of a derived table, and the images it covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from wslabel.storage.location import Location
from wslabel.storage.table import Generations, Table, groups, shard_name


@dataclass(frozen=True)
class GroupWork:
    """One file of a derived table.

    Attributes:
        key: number of the group.
        name: of the file to make.
        shards: that it covers.
        generations: of each input table, in the order of `shards`.
    """

    key: int
    name: str
    shards: tuple[int, ...]
    generations: Mapping[str, tuple[int, ...]]


def works(shards: Sequence[int], inputs: Mapping[str, Generations]) -> list[GroupWork]:
    """Cut shards into the groups that a table derived from `inputs` consists of."""
    return [
        GroupWork(
            group.shards[0],
            group.name,
            group.shards,
            {name: tuple(known[s] for s in group.shards) for name, known in inputs.items()},
        )
        for group in groups(shards, list(inputs.values()))
    ]


def read_images(workspace: Location, shards: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """Read columns of the manifest for some shards."""
    table = Table(workspace, "images")
    return pa.concat_tables([table.read(shard_name(shard), columns) for shard in shards])
