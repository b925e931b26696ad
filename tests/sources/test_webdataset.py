"""A sample of a tar file is listed with its values, and its image fetched by range."""

import gzip
import io
import json
import tarfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import S3Server
from tests.sources.contexts import context
from wslabel.config.base import S3
from wslabel.errors import SourceError
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.sources.webdataset import WebDatasetConfig, _remember
from wslabel.storage.location import Location

MEMBERS = {
    "000.jpg": b"first",
    "000.cls": b"1\n",
    "000.txt": "Wellen am Strand, größer".encode(),
    "000.json": json.dumps({"title": "Waves", "width": 96}).encode(),
    "deep/001.seg.png": b"a mask",
    "deep/001.PNG": b"second" * 700,
    "deep/001.json": json.dumps({"title": None}).encode(),
    "002.cls": b"0",
    "003.webp": b"third",
    "notes": b"no extension",
}


def tarred(members: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def listed(root: str, s3: S3 | None = None, **more: Any) -> list[dict[str, Any]]:
    settings = WebDatasetConfig.model_validate({"source": "webdataset", "path": root} | more)
    rows: list[dict[str, Any]] = settings.list_images(context(s3)).to_pylist()
    return rows


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "disk":
        return Location(str(tmp_path / "shards"))
    server: S3Server = request.getfixturevalue("s3_server")
    return Location(f"s3://{server.bucket}/{uuid4().hex}", S3(endpoint=server.endpoint))


def test_samples_are_listed_with_their_values_and_fetched_by_range(place: Location) -> None:
    place.create("a.tar", tarred(MEMBERS))
    place.create("more/b.tar", tarred({"000.jpg": b"fourth", "000.cls": b"0"}))
    place.create("a.idx", b"nothing of ours")
    classes = {"sea": "1", "jungle": ["0"]}
    rows = listed(
        place.root, place.s3, truth="cls", classes=classes, metadata=["txt", "title", "width"]
    )
    ids = ["a.tar/000", "a.tar/deep/001", "a.tar/003", "more/b.tar/000"]
    assert [row["image_id"] for row in rows] == ids
    assert [row["truth"] for row in rows] == ["sea", None, None, "jungle"]
    assert [row["title"] for row in rows] == ["Waves", None, None, None]
    assert rows[0]["txt"] == "Wellen am Strand, größer"
    assert rows[0]["width"] == "96"
    fetch = Fetcher(place.s3)
    assert [fetch(row["uri"]) for row in rows] == [b"first", b"second" * 700, b"third", b"fourth"]


def test_one_tar_file_may_be_named_alone(place: Location) -> None:
    place.create("a.tar", tarred(MEMBERS))
    place.create("b.tar", tarred(MEMBERS))
    rows = listed(place.uri("b.tar"), place.s3)
    assert [row["image_id"] for row in rows] == ["b.tar/000", "b.tar/deep/001", "b.tar/003"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_image_comes_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, form: int, data: st.DataObject
) -> None:
    keys = data.draw(
        st.lists(st.text("abcdefö_", min_size=1, max_size=40), min_size=1, unique=True)
    )
    images = {key: data.draw(st.binary(max_size=2000).filter(len)) for key in keys}
    root = tmp_path_factory.mktemp("tar")
    members = {f"{'d' * 60}/{key}.jpg": image for key, image in images.items()}
    (root / "x.tar").write_bytes(tarred(members, form))
    rows = listed(str(root))
    fetch = Fetcher(S3())
    assert [fetch(row["uri"]) for row in rows] == list(images.values())


def test_links_folders_and_devices_are_no_images(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"odd{kind.decode()}.jpg")
            member.type, member.linkname = kind, "../../etc/passwd"
            tar.addfile(member)
        member = tarfile.TarInfo("good.jpg")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"good"))
    assert [row["image_id"] for row in listed(str(tmp_path))] == ["x.tar/good"]


@pytest.mark.parametrize(
    ("name", "data", "more", "says"),
    [
        ("x.zip", b"", {}, "no tar file found"),
        ("x.tar", b"<html>" * 300, {}, "x.tar: this is no whole tar file"),
        ("x.tar", gzip.compress(tarred(MEMBERS)), {}, "x.tar: this is no whole tar file"),
        ("x.tar", tarred(MEMBERS)[:2000], {}, "x.tar: this is no whole tar file"),
        ("x.tar", tarred(MEMBERS), {"truth": "clss"}, "no sample has 'clss'.*did you mean 'cls'"),
        ("x.tar", tarred({"0.jpg": b"", "0.json": b"{"}), {"truth": "a"}, "is no JSON"),
        ("x.tar", tarred({"0.jpg": b"", "0.txt": b"\xff"}), {"truth": "txt"}, "'0.txt' is no text"),
        ("x.tar", tarred({"0.jpg": b"1", "1.jpg": b"", "0.png": b"2"}), {}, "more than once"),
        ("x.tar", tarred({"0.jpg": b"1", "0.png": b"2"}), {}, "'x.tar/0' has two images, .jpg and"),
        ("x.tar", tarred({"0.jpg": b"", "0.json": b'"\\ud800"'}), {"truth": "a"}, "no sample has"),
        ("x.tar", tarred({"0.jpg": b"", "0.json": b'{"a":"\\ud800"}'}), {"truth": "a"}, "x.tar: "),
        ("x.tar", tarred({"0.jpg": b"", "0.json": b"[" * 99999}), {"truth": "a"}, "is no JSON"),
    ],
)
def test_what_is_no_data_set_is_refused(
    tmp_path: Path, name: str, data: bytes, more: dict[str, Any], says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=says):
        listed(str(tmp_path), **more)


@given(cut=st.integers(1, 40), flipped=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_tar_file_that_was_cut_is_refused_wherever_that_is(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flipped: bool
) -> None:
    root = tmp_path_factory.mktemp("tar")
    data = tarred({f"{i}.jpg": bytes([i]) * 600 for i in range(8)}, tarfile.USTAR_FORMAT)
    end = 8 * 3 * 512  # of the last member
    if flipped:  # the checksum of a header
        place = 512 * 3 * (cut % 8) + 150
        data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    else:
        data = data[: end - cut * 256]
    (root / "x.tar").write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.tar: this is no whole tar file|no tar file"):
        listed(str(root))


def test_a_range_beyond_the_end_is_missing(place: Location) -> None:
    place.create("a.tar", tarred(MEMBERS))
    fetch = Fetcher(place.s3)
    for part in ("#bytes=999999-1000000", "#bytes=0-99999999"):
        with pytest.raises(Unfetchable, match="missing"):
            fetch(place.uri("a.tar") + part)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Write one header of a tar file, whose size may be any number."""
    member = tarfile.TarInfo(name)
    member.type = kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def records(**values: object) -> bytes:
    """Write what a header says of the member after it."""
    text = b""
    for key, value in values.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        size = len(line) + 2
        text += f"{size if size > 99 else f'{size:02d}'}".encode() + line
    return text


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


END = bytes(1024)
GOOD = header("good.jpg", 4) + padded(b"good")


def described(data: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return header("x", len(data), kind) + padded(data)


@pytest.mark.parametrize(
    "data",
    [
        GOOD + header("a.jpg", -512) + END,
        GOOD + header("a.jpg", -1024) + END,
        GOOD + header("x", -512, tarfile.XHDTYPE) + GOOD + END,
        GOOD + header("x", -1024, tarfile.GNUTYPE_LONGNAME) + GOOD + END,
        GOOD + described(records(size=-2048)) + header("a.jpg", 0) + END,
        GOOD + described(records(size=-512)) + header("a.jpg", 0) + END,
        GOOD + header("a.jpg", 2**60) + END,
        described(bytes(70_000)) + GOOD + END,
        described(b"x" * 70_000, tarfile.GNUTYPE_LONGNAME) + GOOD + END,
        described(records(path="a.jpg")) * 2000 + GOOD + END,
        described(b"a.jpg", tarfile.GNUTYPE_LONGNAME) * 2000 + GOOD + END,
    ],
)
@pytest.mark.timeout(20)
def test_a_header_that_lies_about_sizes_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.tar: "):
        listed(str(tmp_path))


def test_what_is_said_of_all_members_is_not_kept_for_each(tmp_path: Path) -> None:
    said = records(comment="x" * 60_000)
    member = described(records(mtime=1)) + header("{:06d}.txt", 0)
    (tmp_path / "x.tar").write_bytes(described(said, tarfile.XGLTYPE) + member * 5000 + GOOD + END)
    tracemalloc.start()
    assert [row["image_id"] for row in listed(str(tmp_path))] == ["x.tar/good"]
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_names_are_kept_as_they_are(tmp_path: Path) -> None:
    names = ["../../etc/a.jpg", "/abs/b.jpg", "line\nbreak.jpg", "esc\x1b[2J.jpg"]
    (tmp_path / "x.tar").write_bytes(tarred(dict.fromkeys(names, b"x")))
    ids = ["x.tar/../../etc/a", "x.tar//abs/b", "x.tar/line\nbreak", "x.tar/esc\x1b[2J"]
    rows = listed(str(tmp_path))
    assert [row["image_id"] for row in rows] == ids
    assert {row["uri"].partition("#")[0] for row in rows} == {str(tmp_path / "x.tar")}


def test_links_to_tar_files_elsewhere_are_followed_where_asked_for(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.tar").write_bytes(tarred(MEMBERS))
    (tmp_path / "mine" / "b.tar").symlink_to("../other/b.tar")
    with pytest.raises(SourceError, match=r"no tar file found; left out: 1 symbolic links that"):
        listed(str(tmp_path / "mine"))
    (tmp_path / "mine" / "a.tar").write_bytes(tarred(MEMBERS))
    (tmp_path / "mine" / "again.tar").symlink_to("a.tar")
    (tmp_path / "mine" / "loop").symlink_to(".")
    for follow_links, files in ((False, {"a.tar"}), (True, {"a.tar", "b.tar"})):
        rows = listed(str(tmp_path / "mine"), follow_links=follow_links)
        assert {row["image_id"].partition("/")[0] for row in rows} == files


class TestBombs:
    def test_of_many_keys_few_are_remembered(self, tmp_path: Path) -> None:
        members = {}
        for number in range(20):
            keys = {f"{key}_{number}": 0 for key in range(10_000)} | {"a": "1"}
            members |= {f"{number}.jpg": b"x", f"{number}.json": json.dumps(keys).encode()}
        (tmp_path / "x.tar").write_bytes(tarred(members))
        source = WebDatasetConfig(source="webdataset", path=str(tmp_path), metadata=["a"])
        tracemalloc.start()
        source.list_images(context())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 2**20

    def test_the_parts_of_one_sample_are_remembered_as_far_as_they_are_few(
        self, tmp_path: Path
    ) -> None:
        known: set[str] = set()
        _remember(known, ["x" * 101, *(f"{number}" for number in range(20_000))])
        assert len(known) == 10_000
        assert max(map(len, known)) < 10

    @pytest.mark.parametrize("piece", [b"12 a=bbbbbb\n" * 5000, b"1" * 60_000])
    def test_headers_that_are_large_or_searched_for_long_are_refused(
        self, tmp_path: Path, piece: bytes
    ) -> None:
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, len(piece)
        header = info.tobuf(tarfile.USTAR_FORMAT) + piece + bytes(-len(piece) % 512)
        (tmp_path / "x.tar").write_bytes(header * 3 + tarred({"a.jpg": b"x"}))
        source = WebDatasetConfig(source="webdataset", path=str(tmp_path))
        with pytest.raises(SourceError, match=r"131,072 bytes of headers, or a row of 200 digits"):
            source.list_images(context())

    def test_keys_for_all_members_are_few(self, tmp_path: Path) -> None:
        sink = io.BytesIO()
        keys = {f"key{number}": "x" for number in range(2000)}
        with tarfile.open(fileobj=sink, mode="w", pax_headers=keys) as tar:
            info = tarfile.TarInfo("a.jpg")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
        (tmp_path / "x.tar").write_bytes(sink.getvalue())
        source = WebDatasetConfig(source="webdataset", path=str(tmp_path))
        with pytest.raises(SourceError, match="more than 1,000 keys to all members"):
            source.list_images(context())
