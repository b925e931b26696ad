"""The six laws, as far as files can keep them: names, commits, generations, any reader."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel import schema
from wslabel.errors import StorageError, TransientStorageError
from wslabel.storage.digests import digest
from wslabel.storage.location import Location
from wslabel.storage.table import (
    GROUP_FILE,
    GROUP_SIZE,
    PIECES,
    SHARD_FILE,
    Group,
    Table,
    groups,
    in_pieces,
    piece,
    serialize,
    shard_name,
    superseded,
)

SHARDS = st.sets(st.integers(0, 3 * GROUP_SIZE), max_size=40)
GENERATIONS = st.dictionaries(st.integers(0, 3 * GROUP_SIZE), st.integers(0, 3), max_size=20)


def numbers(*values: int) -> pa.Table:
    ids = pa.array(map(str, values), pa.string())
    return pa.table({"image_id": ids, "n": pa.array(values, pa.int32())})


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """The manifest, whose rows are beside those of no other table."""
    return Table(Location(str(tmp_path)), "images")


class TestNames:
    @given(st.integers(0, 10**7), st.integers(0, 99))
    def test_a_shards_name_tells_shard_and_generation(self, shard: int, generation: int) -> None:
        match = SHARD_FILE.fullmatch(shard_name(shard, generation))
        assert match is not None
        assert (int(match[1]), int(match[2] or 0)) == (shard, generation)

    @given(st.integers(0, 99998))
    def test_names_sort_as_shards_do(self, shard: int) -> None:
        assert shard_name(shard) < shard_name(shard + 1)

    @given(st.integers(0, 10**6), st.integers(0, 3))
    def test_a_shards_name_is_no_groups_name(self, shard: int, generation: int) -> None:
        assert GROUP_FILE.fullmatch(shard_name(shard, generation)) is None

    @pytest.mark.parametrize("name", ["1.parquet", "00001.parquet.tmp", "x00001.parquet", "00001"])
    def test_another_name_is_no_shard(self, name: str) -> None:
        assert SHARD_FILE.fullmatch(name) is None


class TestGroups:
    @given(SHARDS)
    def test_they_partition_the_shards_in_order(self, shards: set[int]) -> None:
        found = groups(shards)
        assert [shard for group in found for shard in group.shards] == sorted(shards)
        assert all(len({shard // GROUP_SIZE for shard in g.shards}) == 1 for g in found)
        assert len(found) == len({shard // GROUP_SIZE for shard in shards})
        assert len({group.name for group in found}) == len(found)

    @given(SHARDS, st.lists(GENERATIONS, max_size=2))
    def test_a_name_tells_the_range(self, shards: set[int], inputs: list[dict[int, int]]) -> None:
        for group in groups(shards, inputs):
            match = GROUP_FILE.fullmatch(group.name)
            assert match is not None
            assert (int(match[1]), int(match[2])) == (group.shards[0], group.shards[-1])
            raised = any(known.get(shard, 0) for known in inputs for shard in group.shards)
            assert (match[3] is not None) == raised

    @given(SHARDS.filter(bool), GENERATIONS, GENERATIONS, st.data())
    def test_a_name_changes_with_a_generation_of_its_own_alone(
        self, shards: set[int], one: dict[int, int], two: dict[int, int], data: st.DataObject
    ) -> None:
        shard = data.draw(st.sampled_from(sorted(shards)))
        raised = one | {shard: one.get(shard, 0) + data.draw(st.integers(1, 3))}
        before, after = groups(shards, [one, two]), groups(shards, [raised, two])
        for old, new in zip(before, after, strict=True):
            assert old.shards == new.shards
            assert (old.name != new.name) == (shard in old.shards)

    @given(SHARDS.filter(bool), GENERATIONS, st.data())
    def test_a_name_stays_when_nothing_of_its_own_changes(
        self, shards: set[int], known: dict[int, int], data: st.DataObject
    ) -> None:
        stranger = data.draw(st.integers(0, 4 * GROUP_SIZE).filter(lambda s: s not in shards))
        assert groups(shards, [known]) == groups(shards, [known | {stranger: 9}])
        explicit = dict.fromkeys(shards, 0) | known
        assert groups(shards, [known]) == groups(shards, [explicit])

    @given(st.sets(st.integers(0, 200), min_size=1, max_size=20))
    def test_the_last_group_alone_is_renamed_by_a_new_shard(self, shards: set[int]) -> None:
        new = max(shards) + 1
        before, after = groups(shards), groups(shards | {new})
        if new % GROUP_SIZE:
            assert after[:-1] == before[:-1]
            assert after[-1].name != before[-1].name
        else:
            assert after[:-1] == before

    def test_which_input_is_newer_matters(self) -> None:
        assert groups([1], [{1: 1}, {}])[0].name != groups([1], [{}, {1: 1}])[0].name

    def test_which_shard_is_newer_matters(self) -> None:
        assert groups([1, 2], [{1: 1}])[0].name != groups([1, 2], [{2: 1}])[0].name

    def test_the_names_are_the_same_in_every_run(self) -> None:
        assert groups([3, 4, 70], [{4: 2}]) == [
            Group((3, 4), "00003-00004.2-c9fe95c8.parquet"),
            Group((70,), "00070-00070.parquet"),
        ]


class TestCommits:
    def test_what_was_committed_is_read(self, table: Table) -> None:
        assert table.commit("00000.parquet", [numbers(1, 2, 3)]) is True
        assert table.read("00000.parquet").equals(numbers(1, 2, 3))
        assert table.names() == ["00000.parquet"]

    def test_some_columns_are_read(self, table: Table) -> None:
        table.commit("00000.parquet", [numbers(1)])
        assert table.read("00000.parquet", ["n"]).to_pydict() == {"n": [1]}

    def test_the_first_commit_stays(self, table: Table) -> None:
        assert table.commit("00000.parquet", [numbers(1)]) is True
        assert table.commit("00000.parquet", [numbers(2)]) is False
        assert table.read("00000.parquet").equals(numbers(1))

    @pytest.mark.parametrize("plain", [True, False], ids=["plain", "compressed"])
    def test_every_shard_is_one_row_group(self, table: Table, plain: bool) -> None:
        table = Table(table.location, table.folder, plain)
        big = numbers(*range(70_000))
        parts = [numbers(1, 2), big, numbers(), numbers(3)]
        table.commit("00000-00003.parquet", parts)
        read = table.read_row_groups("00000-00003.parquet")
        assert [part.num_rows for part in read] == [2, 70_000, 0, 1]
        assert all(mine.equals(theirs) for mine, theirs in zip(parts, read, strict=True))

    @pytest.mark.parametrize("num_rows", [1, 7, 8, 20, 512])
    def test_rows_are_read_whatever_the_row_groups(self, table: Table, num_rows: int) -> None:
        whole = numbers(*range(num_rows))
        table.commit("00000.parquet", [whole])
        table.commit("00001.parquet", in_pieces(whole))
        pieces = [piece(num_rows, index) for index in range(PIECES)]
        assert pa.concat_tables([whole[rows] for rows in pieces]).equals(whole)
        for rows in [*pieces, slice(0, num_rows), slice(num_rows // 3, num_rows - num_rows // 4)]:
            for name in ("00000.parquet", "00001.parquet"):
                assert table.read_rows(name, ["n"], rows).equals(whole[rows].select(["n"]))

    def test_a_footer_counts_rows_columns_and_nulls(self, table: Table) -> None:
        shard = pa.table({"image_id": ["1", "2", "3"], "error": [None, "missing", None]})
        table.commit("00000.parquet", [shard])
        footer = table.footer("00000.parquet")
        assert (footer.num_rows, footer.num_columns, footer.num_row_groups) == (3, 2, 1)
        assert footer.row_group(0).column(1).statistics.null_count == 2

    def test_the_same_rows_are_the_same_bytes(self) -> None:
        for plain in (True, False):
            first = serialize([numbers(1, 2)], plain=plain)
            assert first.equals(serialize([numbers(1, 2)], plain=plain))

    def test_plain_encoding_is_plain(self, table: Table) -> None:
        repeated = pa.table({"image_id": ["same"] * 500, "n": [1.0] * 500})
        table.commit("00000.parquet", [repeated])
        group = table.footer("00000.parquet").row_group(0)
        for index in range(2):
            column = group.column(index)
            assert column.compression == "UNCOMPRESSED"
            assert not column.has_dictionary_page
            assert not any("DICTIONARY" in encoding for encoding in column.encodings)
            assert "PLAIN" in column.encodings

    def test_what_is_not_plain_is_smaller(self, table: Table) -> None:
        table = Table(table.location, table.folder, plain=False)
        table.commit("00000.parquet", [pa.table({"image_id": ["same"] * 500})])
        assert table.footer("00000.parquet").row_group(0).column(0).compression == "ZSTD"

    def test_a_table_that_is_not_there_is_empty(self, table: Table) -> None:
        assert table.names() == []
        assert table.generations() == {}
        table.supersede(["00000.parquet"])


class TestGenerations:
    def commit(self, table: Table, *names: str) -> None:
        for name in names:
            table.commit(name, [numbers(1)])

    def test_the_newest_wins(self, table: Table) -> None:
        names = ["00000.parquet", "00001.1.parquet", "00001.parquet", "00002.2.parquet"]
        self.commit(table, *names, "00002.10.parquet")
        assert table.generations() == {0: 0, 1: 1, 2: 10}

    def test_files_of_others_are_no_shards(self, table: Table) -> None:
        self.commit(table, "00000-00063.parquet", "notes.txt", "00001.parquet.part")
        assert table.generations() == {}

    def test_what_is_covered_goes_and_the_rest_stays(self, table: Table) -> None:
        old = ["00000-00002.parquet", "00000-00003.1-0a0a0a0a.parquet", "00003-00003.parquet"]
        other = ["00002-00005.parquet", "00064-00065.parquet", "notes.txt"]
        self.commit(table, *old, *other, "00000-00003.2-0b0b0b0b.parquet")
        table.supersede(["00000-00003.2-0b0b0b0b.parquet"])
        assert set(table.names()) == {"00000-00003.2-0b0b0b0b.parquet", *other}

    @pytest.mark.parametrize(
        ("stale", "newer"),
        [
            ("00001.1.parquet", "00001.2.parquet"),
            ("00000-00003.parquet", "00000-00003.1-0a0a0a0a.parquet"),
            ("00000-00003.1-0b0b0b0b.parquet", "00000-00003.1-0a0a0a0a.parquet"),
            ("00000-00003.parquet", "00000-00004.parquet"),
            ("00000-00004.parquet", "00000-00003.1-0a0a0a0a.parquet"),
        ],
    )
    def test_a_stale_driver_removes_nothing_newer(
        self, table: Table, stale: str, newer: str
    ) -> None:
        self.commit(table, stale, newer)
        table.supersede([stale])
        assert set(table.names()) == {stale, newer}

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2)), max_size=6), st.data())
    def test_of_two_states_that_follow_one_another_the_newer_stays(
        self, steps: list[tuple[int, int]], data: st.DataObject
    ) -> None:
        """A state has more shards than one before it, or newer generations, or both."""
        states = [(set[int]({0}), dict[int, int]())]
        for shard, raised in steps:
            shards, known = states[-1]
            grown = shards | {max(shards) + 1} if raised > 1 else shards
            states.append((grown, known | {shard: known.get(shard, 0) + 1}))
        names = [groups(shards, [known])[0].name for shards, known in states]
        current = data.draw(st.integers(0, len(names) - 1))
        gone = superseded(set(names), [names[current]])
        assert set(gone) == {n for n in names[:current] if n not in names[current:]}

    def test_a_retired_generation_is_empty_and_its_name_stays_taken(self, tmp_path: Path) -> None:
        location = Location(str(tmp_path))
        Table(location, "images").commit("00001.parquet", [numbers(1, 2)])
        table = Table(location, "features/x")
        for name in ("00001.parquet", "00001.1.parquet", "00001.3.parquet"):
            table.commit(name, [numbers(1, 2)])
        table.retire("00001.1.parquet")
        assert table.generations() == {1: 3}
        assert table.commit("00001.parquet", [numbers(1, 2)]) is False
        with pytest.raises(TransientStorageError, match="is gone; another run"):
            table.read("00001.parquet")
        assert table.read("00001.1.parquet").num_rows == 2
        every = pd.read_parquet(tmp_path / "features" / "x")
        assert len(every) == 4  # any reader still reads the folder as it is

    def test_a_late_writer_of_a_generation_changes_nothing(self, tmp_path: Path) -> None:
        location = Location(str(tmp_path))
        Table(location, "images").commit("00000.parquet", [numbers(1)])
        table = Table(location, "features/x")
        for generation in range(3):
            name = shard_name(0, generation)
            table.commit(name, [numbers(1)])
            table.retire(name)
        late = numbers(1).append_column("late", pa.array([True]))
        assert table.commit("00000.1.parquet", [late]) is False
        table.retire("00000.1.parquet")
        assert table.generations() == {0: 2}
        assert table.read("00000.2.parquet").equals(numbers(1))

    def test_nothing_current_removes_nothing(self, table: Table) -> None:
        self.commit(table, "00000.parquet", "00000-00001.parquet")
        table.supersede([])
        assert len(table.names()) == 2

    def test_no_file_of_another_is_ever_removed(self, table: Table) -> None:
        self.commit(table, "00000.parquet")
        table.location.create(table.path("notes.txt"), b"mine")
        table.supersede(["00000.parquet"])
        assert table.names() == ["00000.parquet", "notes.txt"]


class TestDigests:
    """A file is read only where its rows are the images of the manifest."""

    @pytest.fixture
    def location(self, tmp_path: Path) -> Location:
        location = Location(str(tmp_path))
        manifest = Table(location, "images")
        for shard in range(3):
            manifest.commit(shard_name(shard), [numbers(shard, 10 + shard)])
        Table(location, "votes/x").commit("00000-00001.parquet", [numbers(0, 10), numbers(1, 11)])
        Table(location, "features/x").commit("00002.parquet", in_pieces(numbers(2, 12)))
        return location

    def test_rows_of_the_same_images_are_read(self, location: Location) -> None:
        votes, feature = Table(location, "votes/x"), Table(location, "features/x")
        assert votes.read("00000-00001.parquet").num_rows == 4
        assert feature.read("00002.parquet").equals(numbers(2, 12))
        row_group = votes.read_row_group("00000-00001.parquet", 1, ["n"])
        assert row_group.to_pydict() == {"n": [1, 11]}

    @pytest.mark.parametrize("other", [[12, 2], [2], [2, 12, 22], []], ids=str)
    def test_rows_of_other_images_are_refused(self, location: Location, other: list[int]) -> None:
        location.delete("images/00002.parquet")
        Table(location, "images").commit("00002.parquet", [numbers(*other)])
        again = Location(location.root)
        for read in (
            lambda table: table.read("00002.parquet"),
            lambda table: table.read_row_groups("00002.parquet"),
            lambda table: table.read_rows("00002.parquet", ["n"], slice(0, 1)),
        ):
            with pytest.raises(StorageError, match=r"of other images than images/00002.parquet"):
                read(Table(again, "features/x"))

    def test_of_a_groups_file_the_shard_that_is_read_counts(self, location: Location) -> None:
        location.delete("images/00001.parquet")
        Table(location, "images").commit("00001.parquet", [numbers(7)])
        votes = Table(Location(location.root), "votes/x")
        assert votes.read_row_group("00000-00001.parquet", 0, ["n"]).num_rows == 2
        with pytest.raises(StorageError, match=r"of other images than images/00001.parquet"):
            votes.read_row_group("00000-00001.parquet", 1, ["n"])
        with pytest.raises(StorageError, match=r"of other images than images/00001.parquet"):
            votes.read("00000-00001.parquet")

    def test_a_manifest_that_says_nothing_is_looked_at(self, location: Location) -> None:
        path = Path(location.root, "images", "00002.parquet")
        path.unlink()
        pq.write_table(numbers(2, 12), path)
        assert Table(location, "features/x").read("00002.parquet").num_rows == 2

    @given(st.lists(st.text(max_size=3), max_size=6), st.lists(st.text(max_size=3), max_size=6))
    def test_a_digest_tells_lists_of_ids_apart(self, one: list[str], other: list[str]) -> None:
        first, second = (pa.table({"image_id": pa.array(i, pa.string())}) for i in (one, other))
        assert (digest(first) == digest(second)) == (one == other)
        cut = pa.concat_tables([first.slice(0, len(one) // 2), first.slice(len(one) // 2)])
        assert digest(cut) == digest(first)
        shifted = pa.table({"image_id": pa.array(["x", *one], pa.string())}).slice(1)
        assert digest(shifted) == digest(first)


# --- law five: any Parquet reader reads the tables as they are ------------------------------------


def feature_shard() -> tuple[pa.Table, dict[str, list[object]]]:
    categories = [
        pa.field("category_ids", schema.vector(pa.int16(), 2)),
        pa.field("category_probabilities", schema.vector(pa.float32(), 2)),
    ]
    fields = schema.feature_table(pa.schema([*categories, schema.embedding(3)]))
    rows: dict[str, list[object]] = {
        "image_id": ["a", "b", "c"],
        "category_ids": [[1, 2], None, [7, 0]],
        "category_probabilities": [[0.5, 0.25], None, [0.75, 0.125]],
        "embedding": [[0.5, -1.5, 2.0], None, [0.0, 1.0, 65504.0]],
        "error": [None, "not_an_image", None],
    }
    halves = [None if v is None else np.array(v, np.float16) for v in rows["embedding"]]
    return pa.table(rows | {"embedding": halves}, schema=fields), rows


def votes_shard() -> tuple[pa.Table, dict[str, list[object]]]:
    rows: dict[str, list[object]] = {"image_id": ["a", "b"], "mean": [-1, 1], "blue": [0, -1]}
    return pa.table(rows, schema=schema.votes(["mean", "blue"])), rows


def labels_shard() -> tuple[pa.Table, dict[str, list[object]]]:
    rows: dict[str, list[object]] = {
        "image_id": ["a", "b"],
        "probabilities": [[0.25, 0.75], None],
        "label": [1, None],
        "majority_probabilities": [[0.5, 0.5], None],
        "majority_label": [None, None],
    }
    return pa.table(rows, schema=schema.labels(2)), rows


def images_shard() -> tuple[pa.Table, dict[str, list[object]]]:
    rows: dict[str, list[object]] = {
        "image_id": ["a", "ü/b.jpg"],
        "uri": ["/x/a", "s3://b/ü/b.jpg"],
        "split": ["train", "test"],
        "truth": ["sea", None],
        "year": [1999, None],
    }
    fields = pa.schema([*schema.IMAGES, pa.field("year", pa.int64())])
    return pa.table(rows, schema=fields), rows


TABLES = {
    "features": feature_shard,
    "votes": votes_shard,
    "labels": labels_shard,
    "images": images_shard,
}


@pytest.fixture(params=[True, False], ids=["plain", "compressed"])
def plain(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=TABLES)
def committed(
    request: pytest.FixtureRequest, plain: bool, tmp_path: Path
) -> tuple[str, dict[str, list[object]]]:
    """A file of a table and the rows that stand in it."""
    shard, rows = TABLES[request.param]()
    table = Table(Location(str(tmp_path)), "t", plain)
    table.commit("00000.parquet", [shard, shard.slice(0, 0)])
    return str(tmp_path / "t" / "00000.parquet"), rows


def plainly(value: object) -> object:
    """Arrays as lists, what is missing as None."""
    if isinstance(value, np.ndarray | list | tuple):
        return [plainly(item) for item in value]
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


Committed = tuple[str, dict[str, list[object]]]


class TestReaders:
    def test_duckdb(self, committed: Committed) -> None:
        path, rows = committed
        with duckdb.connect() as connection:
            found = connection.execute("select * from read_parquet(?)", [path])
            assert [column[0] for column in found.description] == list(rows)
            expected = [list(row) for row in zip(*rows.values(), strict=True)]
            assert [plainly(row) for row in found.fetchall()] == expected

    def test_pandas(self, committed: Committed) -> None:
        path, rows = committed
        frame = pd.read_parquet(path)
        assert {name: plainly(list(frame[name])) for name in frame} == rows

    def test_polars(self, committed: Committed) -> None:
        path, rows = committed
        frame = pl.read_parquet(path)
        assert {name: plainly(frame[name].to_list()) for name in frame.columns} == rows

    def test_pyarrow_sees_the_types_of_the_schema(self, committed: Committed) -> None:
        path, rows = committed
        read = pq.read_table(path)
        assert read.to_pydict() == rows
        wanted = next(s.schema for s, r in (make() for make in TABLES.values()) if r == rows)
        assert read.schema.equals(wanted)

    def test_no_type_needs_a_library_of_ours(self, committed: Committed) -> None:
        text = str(pq.read_schema(committed[0]))
        assert not re.search("extension|dictionary|pandas", text)
