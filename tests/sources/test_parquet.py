"""What a Parquet file takes is known before it is read, and honest files of any kind are read."""

import base64
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.contexts import context
from tests.sources.test_measured import CODE
from wslabel.errors import SourceError
from wslabel.sources import measured
from wslabel.sources.table import TableConfig

DELTA = ("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY")
PLAIN = {"use_dictionary": False, "write_statistics": False, "store_schema": False}


def rows(path: Path, *metadata: str) -> pa.Table:
    settings = TableConfig(source="table", path=str(path), metadata=list(metadata))
    return settings.list_images(context())


def bomb(path: Path, num_texts: int, size: int, *, nested: bool, coding: str) -> Path:
    """Write texts of which each is as the one before it."""
    kind = pa.list_(pa.string()) if nested else pa.string()
    schema = pa.schema([("uri", pa.string()), ("title", kind)])
    leaf = "title.list.element" if nested else "title"
    options = {"column_encoding": {leaf: coding, "uri": "PLAIN"}} | PLAIN
    if coding == "dictionary":
        options = {"store_schema": False}
    with pq.ParquetWriter(path, schema, compression="zstd", **options) as writer:
        for start in range(0, num_texts, 200):
            texts = ["x" * size] * 200
            titles = pa.array([texts] if nested else texts, kind)
            uris = pa.array([f"{start + row}.jpg" for row in range(len(titles))])
            writer.write_batch(pa.record_batch([uris, titles], schema=schema))
    return path


def varint(number: int) -> bytes:
    coded = b""
    while number > 127:
        coded, number = coded + bytes([number & 127 | 128]), number >> 7
    return coded + bytes([number])


def counts_more(path: Path, coding: str, version: str = "1.0") -> Path:
    """Write a page that says in itself that it has 2**28 values."""
    options = PLAIN | {"column_encoding": {"title": coding, "uri": "PLAIN"}}
    table = pa.table({"uri": [f"{number}" for number in range(10_000)], "title": ["x"] * 10_000})
    pq.write_table(table, path, compression="none", data_page_version=version, **options)
    data = path.read_bytes()
    start = data.index(bytes([0x80, 1, 4, 0x90, 0x4E]))
    forged = (varint(2**29) + varint(1) + varint(2**28) + varint(0) + b"\0\0") * 2
    path.write_bytes(data[:start] + forged + data[start + len(forged) :])
    return path


def null_lists(path: Path) -> Path:
    """Write a few rows of nothing, each of which is a million zeros by the type of the column."""
    table = pa.table({"uri": ["a", "b"] * 15, "title": pa.array([None] * 30, pa.list_(pa.int64()))})
    written = table.set_column(0, "uri", pa.array([f"{row}" for row in range(30)]))
    fixed = pa.array([None] * 30, pa.list_(pa.int64(), 2))
    written = written.set_column(1, "title", fixed)
    schema = pa.schema([("uri", pa.string()), ("title", pa.list_(pa.int64(), 10**7))])
    with pq.ParquetWriter(path, written.schema, store_schema=False) as writer:
        writer.write_table(written)
        text = base64.b64encode(schema.serialize().to_pybytes()).decode()
        writer.add_key_value_metadata({"ARROW:schema": text})
    return path


def larger_than_said(path: Path) -> Path:
    """Write a page of 200 MB under a footer that speaks of some bytes."""
    table = pa.table({"uri": ["a"], "title": ["x" * 200_000_000]})
    pq.write_table(table, path, compression="zstd", **PLAIN)
    size = pq.read_metadata(path).row_group(0).column(1).total_uncompressed_size
    data = bytearray(path.read_bytes())
    start = data.rindex(varint(2 * size))
    data[start : start + len(varint(2 * size))] = b"\x82\x80\x80\x80\x00"[: len(varint(2 * size))]
    path.write_bytes(data)
    assert pq.read_metadata(path).row_group(0).column(1).total_uncompressed_size == 1
    return path


BOMBS = {
    "prefixes in a list": lambda p: bomb(p, 4000, 200_000, nested=True, coding=DELTA[0]),
    "prefixes": lambda p: bomb(p, 4000, 200_000, nested=False, coding=DELTA[0]),
    "dictionary in a list": lambda p: bomb(p, 4000, 200_000, nested=True, coding="dictionary"),
    "count of prefixes": lambda p: counts_more(p, DELTA[0]),
    "count of lengths": lambda p: counts_more(p, DELTA[1]),
    "count in a page of version 2": lambda p: counts_more(p, DELTA[1], "2.0"),
    "lists of a fixed size": null_lists,
    "footer": larger_than_said,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_is_refused_has_taken_no_more_than_there_is(tmp_path: Path, kind: str) -> None:
    path = BOMBS[kind](tmp_path / "x.parquet")
    assert path.stat().st_size < 120_000
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path), "title"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert int(done.stdout or 2**60) * 1024 < 2**27, done.stderr


def test_an_encoding_that_cannot_be_measured_in_lists_is_named(tmp_path: Path) -> None:
    path = bomb(tmp_path / "x.parquet", 200, 10, nested=True, coding=DELTA[0])
    wanted = (
        r"x\.parquet: texts in the nested column 'title\.list\.element' are coded as DELTA_BYTE"
    )
    with pytest.raises(SourceError, match=wanted):
        rows(path, "title")
    assert rows(path).num_rows == 1


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip", "brotli", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("coding", DELTA)
def test_honest_texts_are_read_in_any_encoding(
    tmp_path: Path, compression: str, version: str, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "memory_bytes", lambda: 2**24)
    titles = [f"title {row * row}" if row % 3 else None for row in range(5000)]
    table = pa.table({"uri": [f"{row:05d}.jpg" for row in range(5000)], "title": titles})
    encodings = dict.fromkeys(table.column_names, coding)
    options = {"use_dictionary": False, "column_encoding": encodings, "data_page_size": 5000}
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, 2000, compression=compression, data_page_version=version, **options)
    assert rows(path, "title").column("title").to_pylist() == titles


@pytest.mark.parametrize("coding", ["dictionary", "PLAIN", DELTA[1]])
def test_honest_lists_are_read(tmp_path: Path, coding: str) -> None:
    tags = [[f"tag {row}", "sea", None] if row % 3 else None for row in range(3000)]
    table = pa.table({"uri": [f"{row}" for row in range(3000)], "tags": tags})
    path, leaf = tmp_path / "x.parquet", "tags.list.element"
    coded = {"use_dictionary": False, "column_encoding": {leaf: coding, "uri": "PLAIN"}}
    more = {"dictionary_pagesize_limit": 4000} if coding == "dictionary" else coded
    pq.write_table(table, path, row_group_size=1000, data_page_size=2000, **more)
    assert rows(path, "tags").column("tags").to_pylist() == tags


def test_a_nested_column_whose_name_has_a_dot_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "memory_bytes", lambda: 2**26)
    table = pa.table({"uri": ["a"], "a.b": [[0] * 10_000_000]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="its 1 rows take"):
        rows(tmp_path / "x.parquet", "a.b")
