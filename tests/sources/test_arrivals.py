"""Every image of a listing is known or new, whatever its id: none is left out, none comes twice."""

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.errors import SourceError
from wslabel.schema import MODIFIED_AT, NUM_BYTES
from wslabel.sources.arrivals import arrivals
from wslabel.sources.folder import FolderConfig
from wslabel.sources.generated import GeneratedConfig
from wslabel.sources.listing import LISTING
from wslabel.sources.source import SourceConfig
from wslabel.sources.table import TableConfig

ROOT = "/ws"
FOLDER = FolderConfig(source="folder", path="/any")
TABLE = TableConfig(source="table", path="/any.csv", image_id="id")
GENERATED = GeneratedConfig(source="generated", path="/any")
Rows = Sequence[tuple[str, str]]


def listed(rows: Rows, **more: list[int | None]) -> pa.Table:
    nothing = [None] * len(rows)
    ids, uris = [row[0] for row in rows], [row[1] for row in rows]
    columns = {"image_id": ids, "uri": uris, "split": nothing, "truth": nothing, **more}
    fields = [field for field in (NUM_BYTES, MODIFIED_AT) if field.name in more]
    return pa.table(columns, schema=pa.schema([*LISTING, *fields]))


def pairs(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(*(table.column(name).to_pylist() for name in ("image_id", "uri")), strict=True))


def of_folder(folder: str, names: Sequence[str]) -> Rows:
    return [(name, f"/{folder}/{name}") for name in names]


FOLDERS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sets(st.sampled_from("uvwxyz"), max_size=6)),
    max_size=6,
)


@given(FOLDERS)
def test_images_of_many_folders_all_come_in_once(visits: list[tuple[str, set[str]]]) -> None:
    """The manifest of one workspace, whose path is another folder each time."""
    manifest = listed([])
    for folder, names in visits:
        rows = of_folder(folder, sorted(names))
        found = arrivals(listed(rows), manifest, FOLDER, ROOT)
        assert found.num_known + found.new.num_rows == len(rows)
        manifest = pa.concat_tables([manifest, found.new])
    every = {f"/{folder}/{name}" for folder, names in visits for name in names}
    uris, ids = manifest.column("uri").to_pylist(), manifest.column("image_id").to_pylist()
    assert sorted(uris) == sorted(every)
    assert len(set(ids)) == len(ids)


def test_the_same_path_in_another_folder_is_another_image() -> None:
    monday = listed(of_folder("monday", ["1.jpg", "2.jpg"]))
    found = arrivals(listed(of_folder("tuesday", ["1.jpg", "3.jpg"])), monday, FOLDER, ROOT)
    assert pairs(found.new) == [("/tuesday/1.jpg", "/tuesday/1.jpg"), ("3.jpg", "/tuesday/3.jpg")]
    assert (found.num_known, found.num_renamed) == (0, 1)


def test_an_image_is_known_by_its_uri_under_a_wider_path_too() -> None:
    monday = listed([("1.jpg", "/photos/monday/1.jpg")])
    wider = [("monday/1.jpg", "/photos/monday/1.jpg"), ("monday/2.jpg", "/photos/monday/2.jpg")]
    found = arrivals(listed(wider), monday, FOLDER, ROOT)
    assert pairs(found.new) == wider[1:]
    assert found.num_known == 1


@pytest.mark.parametrize("count", [1, 3])
def test_an_id_of_people_that_stands_for_another_image_is_refused(count: int) -> None:
    rows = [(f"{n}", f"/a/{n}.jpg") for n in range(4)]
    moved = [(f"{n}", f"/b/{n}.jpg") for n in range(count)] + rows[count:]
    more = ", and 2 more images like it" if count == 3 else ""
    with pytest.raises(
        SourceError, match=f"'0' is known as /a/0.jpg, and found as /b/0.jpg{more};"
    ):
        arrivals(listed(moved), listed(rows), TABLE, ROOT)
    assert arrivals(listed(rows), listed(rows[:2]), TABLE, ROOT).num_known == 2


@pytest.mark.parametrize(("source", "uri"), [(GENERATED, "/b/0.jpg"), (TABLE, "/ws/packed/x.jpg")])
def test_an_id_that_says_all_stands_for_the_same_image_anywhere(
    source: SourceConfig, uri: str
) -> None:
    found = arrivals(listed([("0", uri)]), listed([("0", "/a/0.jpg")]), source, ROOT)
    assert (found.num_known, found.new.num_rows) == (1, 0)


def test_a_part_that_moved_within_its_file_is_refused() -> None:
    before = listed([("a", "/x.tar#bytes=0-9")])
    with pytest.raises(SourceError, match="'a' lies elsewhere in its file now"):
        arrivals(listed([("a", "/x.tar#bytes=512-600")]), before, FOLDER, ROOT)


@pytest.mark.parametrize("column", ["num_bytes", "modified_at"])
def test_a_file_that_changed_is_told(column: Literal["num_bytes", "modified_at"]) -> None:
    rows = of_folder("a", ["1", "2", "3", "4"])
    before = listed(rows, **{column: [5, 5, None, 5]})
    now = listed([*rows, ("5", "/a/5")], **{column: [5, 6, 7, None, 9]})
    assert arrivals(now, before, FOLDER, ROOT).changed == ("2",)
    assert arrivals(now, listed(rows), FOLDER, ROOT).changed == ()


@pytest.mark.parametrize("source", [TABLE, TABLE.model_copy(update={"image_id": None})])
def test_an_image_that_was_signed_again_is_the_same(source: SourceConfig) -> None:
    uri = "https://host/a.jpg?size=2"
    before = listed([(uri, f"{uri}&Signature=old&Expires=1")])
    again = listed([(uri, f"{uri}&Signature=new&Expires=2"), ("b", "https://host/b?sig=x")])
    found = arrivals(again, before, source, ROOT)
    assert (found.num_known, found.num_renamed) == (1, 0)
    assert pairs(found.new) == [("b", "https://host/b?sig=x")]  # needed to fetch it
