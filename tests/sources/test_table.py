"""A CSV or Parquet file lists images, and what it says of them travels along."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.conftest import S3Server
from tests.sources.contexts import context
from wslabel.config.base import S3
from wslabel.errors import SourceError
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.sources.table import TableConfig
from wslabel.storage.location import Location

ROWS = pa.table(
    {
        "uri": ["a.jpg", "/abs/b.jpg", "s3://b/c.jpg", "http://h/d.jpg"],
        "key": ["007", "1e5", "true", "x"],
        "class": ["Coast", "Beach", None, "City"],
        "part": ["train", "val", "test", None],
        "year": [1999, None, 2001, 2002],
        "title": ["das Meer", "x, y", "", "z"],
    }
)
Write = Callable[[pa.Table], str]


@pytest.fixture(params=["csv", "parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Write a table as a file and give its path."""

    def to(table: pa.Table) -> str:
        path = tmp_path / f"list.{request.param}"
        (pacsv.write_csv if request.param == "csv" else pq.write_table)(table, path)
        return str(path)

    return to


def rows(path: str, s3: S3 | None = None, **settings: Any) -> dict[str, list[Any]]:
    table = TableConfig(source="table", path=path, **settings)
    columns: dict[str, list[Any]] = table.list_images(context(s3)).to_pydict()
    return columns


class TestCsvAndParquet:
    def test_a_uri_alone_is_enough(self, write: Write, tmp_path: Path) -> None:
        listing = rows(write(ROWS.select(["uri"])))
        assert listing["image_id"] == ROWS.column("uri").to_pylist()
        relative, *absolute = listing["uri"]
        assert relative == f"{tmp_path}/a.jpg"
        assert absolute == ROWS.column("uri").to_pylist()[1:]
        assert listing["split"] == listing["truth"] == [None] * 4

    def test_other_columns_may_hold_the_uri(self, write: Write) -> None:
        path = write(ROWS.rename_columns({"uri": "where"}))
        assert rows(path, uri="where")["uri"][1] == "/abs/b.jpg"

    def test_ids_stay_as_they_are_written(self, write: Write) -> None:
        assert rows(write(ROWS), image_id="key")["image_id"] == ["007", "1e5", "true", "x"]

    def test_ids_that_look_like_numbers_stay_as_they_are_written(self, write: Write) -> None:
        table = pa.table({"uri": ["/a", "/b"], "key": ["007", "07"], "class": ["01", "1"]})
        listing = rows(write(table), image_id="key", truth="class", classes={"sea": "01"})
        assert listing["image_id"] == ["007", "07"]
        assert listing["truth"] == ["sea", None]

    def test_truth_is_translated_and_others_have_none(self, write: Write) -> None:
        classes = {"sea": ["Coast", "Beach"]}
        listing = rows(write(ROWS), truth="class", classes=classes)
        assert listing["truth"] == ["sea", "sea", None, None]

    def test_truth_without_classes_is_taken_as_it_is(self, write: Write) -> None:
        assert rows(write(ROWS), truth="class")["truth"] == ["Coast", "Beach", None, "City"]

    def test_an_empty_split_is_still_to_be_drawn(self, write: Write) -> None:
        assert rows(write(ROWS), split_column="part")["split"] == ["train", "val", "test", None]

    def test_metadata_travels_with_its_type(self, write: Write) -> None:
        path = write(ROWS)
        settings = TableConfig(source="table", path=path, metadata=["year", "title"])
        listing = settings.list_images(context())
        assert listing.column_names == ["image_id", "uri", "split", "truth", "year", "title"]
        assert listing.column("year").to_pylist() == [1999, None, 2001, 2002]
        assert listing.schema.field("year").type == pa.int64()
        assert listing.column("title").to_pylist()[:2] == ["das Meer", "x, y"]

    @pytest.mark.parametrize("setting", ["uri", "image_id", "truth", "split_column"])
    def test_a_missing_column_names_the_nearest(self, write: Write, setting: str) -> None:
        path = write(ROWS)
        with pytest.raises(SourceError) as caught:
            rows(path, **{setting: "clas"})
        wanted = f"{path}: there is no column 'clas'; did you mean 'class'?"
        assert str(caught.value) == wanted

    def test_a_missing_metadata_column_names_the_nearest(self, write: Write) -> None:
        with pytest.raises(SourceError, match=r"no column 'yaer'; did you mean 'year'\?"):
            rows(write(ROWS), metadata=["yaer"])

    def test_an_id_twice_is_refused(self, write: Write) -> None:
        path = write(pa.table({"uri": ["a", "b", "a"]}))
        with pytest.raises(SourceError, match="image_id 'a' stands more than once"):
            rows(path)

    def test_a_row_without_uri_is_refused(self, write: Write) -> None:
        path = write(pa.table({"uri": ["a", None, "c"], "key": ["1", "2", "3"]}))
        with pytest.raises(SourceError, match=r"row 1 \(from 0\) has no uri"):
            rows(path, image_id="key")

    def test_a_row_without_id_is_refused(self, write: Write) -> None:
        path = write(pa.table({"uri": ["a", "b", "c"], "key": ["1", "2", None]}))
        with pytest.raises(SourceError, match=r"row 2 \(from 0\) has no image_id"):
            rows(path, image_id="key")

    def test_a_uri_that_nothing_here_can_open_is_refused(self, write: Write) -> None:
        path = write(pa.table({"uri": ["/a", "htps://x/b.jpg"]}))
        with pytest.raises(SourceError) as caught:
            rows(path)
        wanted = f"{path}: uri 'htps://x/b.jpg' in row 1 (from 0): unknown scheme; "
        assert str(caught.value).startswith(wanted)
        assert "did you mean 'https'?" in str(caught.value)

    def test_a_scheme_whose_library_is_absent_is_refused(self, write: Write) -> None:
        path = write(pa.table({"uri": ["gs://x/b.jpg"]}))
        with pytest.raises(SourceError, match="gcsfs"):
            rows(path)

    def test_a_bad_split_is_refused(self, write: Write) -> None:
        path = write(pa.table({"uri": ["a", "b"], "part": ["train", "dev"]}))
        with pytest.raises(SourceError, match="split 'dev' is none of train, val, test"):
            rows(path, split_column="part")

    def test_numbers_may_be_ids(self, write: Write) -> None:
        path = write(pa.table({"uri": ["a", "b"], "n": [1, 2]}))
        assert rows(path, image_id="n")["image_id"] == ["1", "2"]


class TestFiles:
    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"none\.csv: there is no such file"):
            rows(str(tmp_path / "none.csv"))

    @pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
    def test_an_empty_file_is_told(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(SourceError, match="expected CSV or Parquet"):
            rows(str(tmp_path / name))

    def test_a_parquet_file_that_is_none_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "x.parquet").write_text("uri\na.jpg\n")
        with pytest.raises(SourceError, match=r"x\.parquet: expected CSV or Parquet"):
            rows(str(tmp_path / "x.parquet"))

    def test_a_ragged_csv_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("uri,year\na.jpg,1\nb.jpg\n")
        with pytest.raises(SourceError, match="expected CSV or Parquet"):
            rows(str(tmp_path / "x.csv"))

    def test_dictionary_columns_are_plain_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        coded = pa.array(["sea", "sea", None]).dictionary_encode()
        pq.write_table(pa.table({"uri": ["/a", "/b", "/c"], "class": coded}), path)
        assert rows(str(path), truth="class")["truth"] == ["sea", "sea", None]

    def test_a_table_on_s3_names_images_beside_it(self, s3_server: S3Server) -> None:
        root, s3 = f"s3://{s3_server.bucket}/{uuid4().hex}", S3(endpoint=s3_server.endpoint)
        Location(root, s3).create("list.csv", b"uri\na.jpg\nhttps://h/b.jpg\ns3://x/c.jpg\n")
        listing = rows(f"{root}/list.csv", s3)
        assert listing["uri"] == [f"{root}/a.jpg", "https://h/b.jpg", "s3://x/c.jpg"]
        with pytest.raises(SourceError, match="there is no such file"):
            rows(f"{root}/none.csv", s3)


SIGNED = "https://h/{}.jpg?X-Amz-Credential=HUSH&X-Amz-Signature={}&size=2"


class TestPresignedUris:
    def test_an_id_has_no_signature_and_the_uri_has_all(self, write: Write) -> None:
        uris = [SIGNED.format("a", "HUSH0"), SIGNED.format("b", "HUSH1"), "https://h/c.jpg"]
        listing = rows(write(pa.table({"uri": uris})))
        assert listing["uri"] == uris
        ids = ["https://h/a.jpg?size=2", "https://h/b.jpg?size=2", "https://h/c.jpg"]
        assert listing["image_id"] == ids

    def test_signed_anew_it_is_the_same_image(self, write: Write) -> None:
        first, second = (
            rows(write(pa.table({"uri": [SIGNED.format("a", mark)]}))) for mark in ("x", "y")
        )
        assert first["image_id"] == second["image_id"]

    def test_a_column_of_ids_may_hold_them_too(self, write: Write) -> None:
        path = write(pa.table({"uri": ["a.jpg"], "key": [SIGNED.format("a", "HUSH")]}))
        assert rows(path, image_id="key")["image_id"] == ["https://h/a.jpg?size=2"]

    def test_one_object_signed_twice_is_refused_without_the_signature(self, write: Write) -> None:
        path = write(pa.table({"uri": [SIGNED.format("a", mark) for mark in ("HUSH0", "HUSH1")]}))
        with pytest.raises(SourceError, match="more than once") as caught:
            rows(path)
        assert "https://h/a.jpg?size=2" in str(caught.value)
        assert "HUSH" not in str(caught.value)


LOCAL = ("/etc/x.jpg", "file:///etc/x.jpg", "FILE://x.jpg", "local://x.jpg", "file:/etc/x.jpg")


class TestPlaces:
    @pytest.mark.parametrize("uri", [*LOCAL, "zip://a::file:///etc/x.zip", "zip://a::/etc/x.zip"])
    def test_a_table_elsewhere_names_no_file_of_this_machine(
        self, s3_server: S3Server, uri: str
    ) -> None:
        root, s3 = f"s3://{s3_server.bucket}/{uuid4().hex}", S3(endpoint=s3_server.endpoint)
        Location(root, s3).create("list.csv", f"uri\na.jpg\n{uri}\n".encode())
        with pytest.raises(SourceError, match=r"in row 1 \(from 0\) names a file of this machine"):
            rows(f"{root}/list.csv", s3)

    @pytest.mark.parametrize("uri", ["../x.jpg", "a/../../x.jpg", "..", "./../a.jpg"])
    def test_a_relative_uri_stays_below_the_table(self, write: Write, uri: str) -> None:
        path = write(pa.table({"uri": ["a.jpg", uri]}))
        with pytest.raises(SourceError, match=r"in row 1 \(from 0\) leads out of the table's"):
            rows(path)

    def test_absolute_ones_and_those_with_dots_in_names_are_usual(self, write: Write) -> None:
        uris = ["/a/../b.jpg", "a..b/../c.jpg", "..a.jpg", "s3://b/../c.jpg"]
        path = write(pa.table({"uri": uris}))
        folder = path.rpartition("/")[0]
        own = [uris[0], f"{folder}/a..b/../c.jpg", f"{folder}/..a.jpg", uris[3]]
        assert rows(path)["uri"] == own


class TestLinks:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A stranger's table beside links to what is private, and links that stay."""
        (tmp_path / "private").mkdir()
        (tmp_path / "private" / "x.jpg").write_bytes(b"HUSH")
        folder = tmp_path / "set"
        folder.mkdir()
        (folder / "own.jpg").write_bytes(b"own")
        (folder / "again.jpg").symlink_to("own.jpg")
        (folder / "a.jpg").symlink_to("../private/x.jpg")
        (folder / "photos").symlink_to(tmp_path / "private")
        (tmp_path / "latest").symlink_to("private")
        uris = ["own.jpg", "again.jpg", "a.jpg", "photos/x.jpg", f"{tmp_path}/latest/x.jpg"]
        (folder / "list.csv").write_text("\n".join(["uri", *uris]))
        return folder

    def fetched(self, folder: Path, **settings: Any) -> list[bytes | str]:
        table = TableConfig(source="table", path=f"{folder}/list.csv", **settings)
        fetch = Fetcher(S3(), table.allowed("/nowhere"))
        made: list[bytes | str] = []
        for uri in table.list_images(context()).column("uri").to_pylist():
            try:
                made.append(fetch(uri))
            except Unfetchable as error:
                made.append(error.kind)
        return made

    def test_what_lies_in_the_tables_folder_leads_out_of_it_where_asked_for(
        self, folder: Path
    ) -> None:
        """What an absolute path names is the choice of whoever wrote the table on this machine."""
        assert self.fetched(folder) == [b"own", b"own", "denied", "denied", b"HUSH"]
        everything = [b"own", b"own", b"HUSH", b"HUSH", b"HUSH"]
        assert self.fetched(folder, follow_links=True) == everything

    def test_where_places_are_named_no_row_leads_elsewhere(self, folder: Path) -> None:
        lines = (folder / "list.csv").read_text().splitlines()[:3]
        (folder / "list.csv").write_text("\n".join(lines))
        allow = [f"{folder.parent}/other"]
        assert self.fetched(folder, allow=allow) == [b"own", b"own"]
        path = folder / "own.jpg"
        path.unlink()
        path.symlink_to(folder.parent / "private" / "x.jpg")
        with pytest.raises(SourceError, match=r"does not lie below what images\.allow names"):
            self.fetched(folder, allow=allow)


class TestSizes:
    @pytest.mark.parametrize("column", ["uri", "key"])
    def test_an_id_or_uri_too_long_for_one_is_refused(self, write: Write, column: str) -> None:
        table = {"uri": ["a", "b"], "key": ["c", "d"]}
        table[column][1] = "x" * 9000
        said = "uri" if column == "uri" else "image_id"
        with pytest.raises(SourceError, match=rf"{said} in row 1 .* 9,0.. bytes; expected 8,192"):
            rows(write(pa.table(table)), image_id="key")

    def test_a_cell_too_long_for_one_is_refused(self, write: Write) -> None:
        path = write(pa.table({"uri": ["a"], "title": ["x" * 1_100_000]}))
        with pytest.raises(SourceError, match=r"title in row 0 .* 1,100,000 bytes; expected 1,048"):
            rows(path, metadata=["title"])

    def test_columns_that_nobody_asked_for_are_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        pq.write_table(pa.table({"uri": ["a.jpg"], "big": ["x" * 10**6]}), path)
        data = bytearray(path.read_bytes())
        footer = pq.read_metadata(path).row_group(0).column(1)
        start = footer.dictionary_page_offset
        data[start : start + 40] = bytes(40)
        path.write_bytes(data)
        assert rows(str(path))["image_id"] == ["a.jpg"]

    def test_typed_and_nested_metadata_comes_as_it_was_written(self, tmp_path: Path) -> None:
        table = pa.table(
            {
                "uri": ["a", "b", "c"],
                "exif.make": ["x", None, "x"],
                "tags": [["p", "q"], [], None],
                "box": [{"x": 1, "name": "n"}, None, {"x": None, "name": None}],
                "kind": pa.array(["u", "v", "u"]).dictionary_encode(),
                "large": pa.array(["l", None, "l"], pa.large_string()),
                "view": pa.array(["l", None, "l"], pa.string_view()),
                "map": pa.array([[("k", "v")], None, []], pa.map_(pa.string(), pa.string())),
                "bytes": [b"1", b"2", None],
                "pair": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int64(), 2)),
                "none": pa.nulls(3),
            }
        )
        path, names = tmp_path / "x.parquet", table.column_names[1:]
        pq.write_table(table, path, row_group_size=2)
        settings = TableConfig(source="table", path=str(path), metadata=names)
        listing = settings.list_images(context())
        for name in names:
            assert listing.column(name).to_pylist() == table.column(name).to_pylist()
            is_known = name != "none"
            assert listing.column(name).type == (
                table.column(name).type if is_known else pa.string()
            )
