"""Tables of shards: the file is the commit.

A shard table has one file per shard, `00017.parquet`; a shard whose failed images were taken up
again has a newer generation, `00017.1.parquet`. A group table has one file per group of 64 shards,
`00000-00063.parquet`, with one row group per shard; a number and a short hash follow the range
where a shard of it is of a newer generation. So the name of a group's file follows from what it is
made of, and the number tells which of two is newer.

Every file says of which images its rows are, and is read only where these are the manifest's.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from wslabel.errors import StorageError, TransientStorageError
from wslabel.storage.digests import DIGESTS, digest, digests_in
from wslabel.storage.location import Location
from wslabel.storage.plain import has_added_types

GROUP_SIZE = 64
PIECES = 8
"""Of a shard's thumbnails, each a row group, so that training holds a part of many shards."""
SHARD_FILE = re.compile(r"(\d{5,})(?:\.(\d+))?\.parquet")
GROUP_FILE = re.compile(r"(\d{5,})-(\d{5,})(?:\.(\d+)-[0-9a-f]{8})?\.parquet")
MANIFEST = "images"
"""Folder of the table that says which images there are."""

SUPERSEDED = b"wslabel.superseded"
"""Key in the footer of a file whose rows stand in a newer generation of its shard."""

T = TypeVar("T")

Generations = Mapping[int, int]
"""The newest committed generation of each shard."""


@dataclass(frozen=True)
class Group:
    """Up to 64 neighboring shards, and the name of the file that holds what derives from them."""

    shards: tuple[int, ...]
    name: str


def shard_name(shard: int, generation: int = 0) -> str:
    """Name the file of a shard.

    >>> shard_name(17), shard_name(17, 1)
    ('00017.parquet', '00017.1.parquet')
    """
    return f"{shard:05d}.parquet" if not generation else f"{shard:05d}.{generation}.parquet"


def piece(num_rows: int, index: int, of: int = PIECES) -> slice:
    """Give the rows of a shard that are one of its pieces.

    >>> piece(20, 0), piece(20, 6), piece(20, 7), piece(20, 0, of=1)
    (slice(0, 3, None), slice(18, 20, None), slice(20, 20, None), slice(0, 20, None))
    """
    size = -(-num_rows // of)
    return slice(*(min(num_rows, number * size) for number in (index, index + 1)))


def in_pieces(table: pa.Table) -> list[pa.Table]:
    """Cut a shard into its pieces, without those that are empty."""
    rows = [piece(table.num_rows, index) for index in range(PIECES)]
    return [table[r] for r in rows if r.stop > r.start]


def groups(shards: Iterable[int], inputs: Sequence[Generations] = ()) -> list[Group]:
    """Cut shards into groups and name each by its range and the generations of its inputs.

    >>> [g.name for g in groups(range(65))]
    ['00000-00063.parquet', '00064-00064.parquet']
    """
    members: dict[int, list[int]] = {}
    for shard in sorted(shards):
        members.setdefault(shard // GROUP_SIZE, []).append(shard)
    return [Group(tuple(m), _group_name(m, inputs)) for m in members.values()]


def _group_name(members: Sequence[int], inputs: Sequence[Generations]) -> str:
    generations = [[known.get(shard, 0) for shard in members] for known in inputs]
    tag, number = "", sum(sum(row) for row in generations)
    if number:
        # Generations only grow, so of two states that follow one another the newer has the greater
        # sum.
        content = hashlib.blake2b(repr(generations).encode(), digest_size=4).hexdigest()
        tag = f".{number}-{content}"
    return f"{members[0]:05d}-{members[-1]:05d}{tag}.parquet"


def serialize(tables: Sequence[pa.Table], *, plain: bool) -> pa.Buffer:
    """Turn tables into one Parquet file in memory, one row group each.

    Args:
        tables: what to write; all of one schema.
        plain: no dictionary and no compression, which reads embeddings four times faster.
    """
    sink = pa.BufferOutputStream()
    options: dict[str, Any] = {"compression": "zstd"}
    if plain:
        options = {"use_dictionary": False, "compression": "none"}
    options["data_page_version"] = "2.0"  # its levels of lists are read faster
    with pq.ParquetWriter(sink, tables[0].schema, **options) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    return sink.getvalue()


@dataclass(frozen=True)
class Table:
    """A folder of a workspace that holds one table."""

    location: Location
    folder: str
    plain: bool = True

    def path(self, name: str) -> str:
        """Spell the path of one of its files."""
        return f"{self.folder}/{name}"

    def generations(self) -> dict[int, int]:
        """List the shards that are committed, each with its newest generation."""
        newest: dict[int, int] = {}
        for name in self.names():
            if match := SHARD_FILE.fullmatch(name):
                shard, generation = int(match[1]), int(match[2] or 0)
                newest[shard] = max(generation, newest.get(shard, 0))
        return newest

    def names(self) -> list[str]:
        """List the names of its committed files."""
        return [entry.path for entry in self.location.files(self.folder)]

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read some or all columns of one file.

        Raises:
            StorageError: It is of other images than the manifest's, or damaged.
        """
        with self._refusing_damage(name):
            return self._file(name).read(columns=columns, use_threads=False)

    def read_row_groups(self, name: str) -> list[pa.Table]:
        """Read one file as a list of its row groups: of a group's file, its shards."""
        with self._refusing_damage(name):
            file = self._file(name)
            return [file.read_row_group(i, use_threads=False) for i in range(file.num_row_groups)]

    def _file(self, name: str) -> pq.ParquetFile:
        try:
            file = pq.ParquetFile(pa.BufferReader(self.location.read(self.path(name))))
        except FileNotFoundError:
            raise self._gone(name) from None
        self._check(name, file.metadata)
        return file

    def read_row_group(self, name: str, index: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one row group of a file: of a group's file, one shard."""

        def read(stream: pa.NativeFile) -> pa.Table:
            file = pq.ParquetFile(stream)
            self._check(name, file.metadata, only=index)
            return file.read_row_group(index, columns=columns, use_threads=False)

        return self._parts(name, read)

    def read_rows(self, name: str, columns: Sequence[str], rows: slice) -> pa.Table:
        """Read columns of some consecutive rows of a file, and only the row groups they are in."""

        def read(stream: pa.NativeFile) -> pa.Table:
            file = pq.ParquetFile(stream)
            self._check(name, file.metadata)
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
            wanted = [
                i for i in range(len(sizes)) if starts[i] < rows.stop and rows.start < starts[i + 1]
            ]
            table = file.read_row_groups(wanted, columns=columns, use_threads=False)
            first = rows.start - starts[wanted[0]] if wanted else 0
            return table.slice(first, rows.stop - rows.start)

        return self._parts(name, read)

    def footer(self, name: str) -> pq.FileMetaData:
        """Read what a file says of itself: rows, columns, null counts."""
        return self._parts(name, pq.read_metadata)

    def _parts(self, name: str, read: Callable[[pa.NativeFile], T]) -> T:
        with self._refusing_damage(name):
            try:
                return self.location.read_parts(self.path(name), read)
            except FileNotFoundError:
                raise self._gone(name) from None

    @contextmanager
    def _refusing_damage(self, name: str) -> Iterator[None]:
        """Say of a file that it is no table; others than wslabel may have written it."""
        try:
            yield
        except pa.ArrowException as error:
            reason = " ".join(str(error).split())[:200]
            again = "" if self.folder == MANIFEST else ", or remove it to make it anew"
            raise StorageError(
                f"{self.location.uri(self.path(name))}: is damaged, or no file of wslabel's "
                f"({reason}); put it back{again}"
            ) from None

    def _gone(self, name: str) -> TransientStorageError:
        path = self.location.uri(self.path(name))
        return TransientStorageError(f"{path}: is gone; another run may have replaced it")

    def _check(self, name: str, footer: pq.FileMetaData, only: int | None = None) -> None:
        """See that the rows of a file, or of one shard in it, are those of the manifest."""
        if has_added_types(footer):
            raise StorageError(
                f"{self.location.uri(self.path(name))}: has columns of a type that some library "
                "has added to Arrow's own, which wslabel never writes; remove the file"
            )
        if self.folder == MANIFEST:
            return
        if SUPERSEDED in (footer.metadata or {}):
            raise self._gone(name)
        shards, found = _shards_of(name), digests_in(footer)
        for index in range(len(shards)) if only is None else (only,):
            if found[index : index + 1] != [self.digest(shards[index])]:
                raise StorageError(
                    f"{self.location.uri(self.path(name))}: is of other images than "
                    f"{MANIFEST}/{shard_name(shards[index])}; was {MANIFEST}/ removed or written "
                    f"by others? Put it back, or remove {self.folder} too to make it anew"
                )

    def digest(self, shard: int) -> str:
        """Give the digest of a shard's image ids, as the manifest has them."""
        known = self.location.digests
        if shard not in known:
            manifest, name = Table(self.location, MANIFEST), shard_name(shard)
            found = digests_in(manifest.footer(name))
            # Manifests that were made before files said so are looked at.
            known[shard] = found[0] if found else digest(manifest.read(name, ["image_id"]))
        return known[shard]

    def commit(self, name: str, tables: Sequence[pa.Table]) -> bool:
        """Make a file of this table appear, unless another writer made it first.

        Args:
            name: Name of the file.
            tables: Its row groups: the shards of a group's file, or the pieces of one shard.
        """
        of_shards = tables if GROUP_FILE.fullmatch(name) else [pa.concat_tables(tables)]
        noted = {**(tables[0].schema.metadata or {}), DIGESTS: ",".join(map(digest, of_shards))}
        first = tables[0].replace_schema_metadata(noted)
        data = serialize([first, *tables[1:]], plain=self.plain)
        return self.location.create(self.path(name), data)

    def supersede(self, current: Iterable[str]) -> None:
        """Remove the files whose shards also stand in one of the current files, which are newer."""
        for name in superseded(self.names(), current):
            self.location.delete(self.path(name))

    def retire(self, name: str) -> None:
        """Leave an empty table in the place of the generations of a shard before this one.

        Their names stay taken, or a writer who is late could give one of them another content.
        """
        shards = list(_shards_of(name))
        for older in superseded(self.names(), [name]):
            footer = self.footer(older)
            if list(_shards_of(older)) == shards and footer.num_rows:
                empty = footer.schema.to_arrow_schema().empty_table()
                empty = empty.replace_schema_metadata({SUPERSEDED: name})
                data = serialize([empty], plain=self.plain)
                self.location.replace(self.path(older), data)


def superseded(names: Iterable[str], current: Iterable[str]) -> list[str]:
    """Name the older files whose shards also stand in one of the current files.

    >>> superseded(["00000.parquet", "00000.1.parquet", "notes.txt"], ["00000.1.parquet"])
    ['00000.parquet']
    >>> superseded(["00000.parquet", "00000.1.parquet"], ["00000.parquet"])
    []
    """
    keep = set(current)
    cover = {shard: name for name in keep for shard in _shards_of(name)}
    return [name for name in names if name not in keep and _is_older(name, cover)]


def _is_older(name: str, cover: Mapping[int, str]) -> bool:
    """Tell whether one of the current files, by their shards, is newer and holds all of a file."""
    shards = _shards_of(name)
    newer = cover.get(shards[0]) if shards else None  # a file that is not ours has no shards
    if newer is None or cover.get(shards[-1]) != newer:
        return False
    mine, others = _age(name), _age(newer)
    return mine != others and mine[0] <= others[0] and mine[1] <= others[1]


def _age(name: str) -> tuple[int, int]:
    """Give what grows from a file to one that is made later: its shards, and their generations."""
    match = SHARD_FILE.fullmatch(name)
    number = match[2] if match else GROUP_FILE.fullmatch(name)[3]  # type: ignore[index]
    return len(_shards_of(name)), int(number or 0)


def error_count(footer: pq.FileMetaData) -> int:
    """Count the failed images of a feature file by its footer alone."""
    index = footer.schema.names.index("error")
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
    return sum(g.num_rows - int(g.column(index).statistics.null_count) for g in groups)


def _shards_of(name: str) -> range:
    if match := SHARD_FILE.fullmatch(name):
        return range(int(match[1]), int(match[1]) + 1)
    if match := GROUP_FILE.fullmatch(name):
        return range(int(match[1]), int(match[2]) + 1)
    return range(0)
