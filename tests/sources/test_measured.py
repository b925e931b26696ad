"""A few bytes that stand for many are told before they fill the memory."""

import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.contexts import context
from wslabel.errors import SourceError
from wslabel.sources import measured
from wslabel.sources.table import TableConfig

MEMORY = 2**26


def rows(path: Path, **more: object) -> pa.Table:
    settings = TableConfig.model_validate({"source": "table", "path": str(path)} | more)
    return settings.list_images(context())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on a machine of 64 MiB."""
    monkeypatch.setattr(measured, "memory_bytes", lambda: MEMORY)


def bomb(path: Path, num_rows: int, size: int) -> Path:
    """Write a Parquet file that says one text of some size again and again."""
    zeros = pa.Array.from_buffers(pa.int32(), num_rows, [None, pa.py_buffer(bytes(4 * num_rows))])
    coded = pa.DictionaryArray.from_arrays(zeros, pa.array(["x" * size]))
    pq.write_table(pa.table({"uri": coded}), path, compression="zstd", store_schema=False)
    return path


def zipped(path: Path, num_bytes: int) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b"uri\n")
        for _ in range(num_bytes // 2**20):
            stream.write(b"x" * (2**20 - 1) + b"\n")
    return path


@pytest.mark.usefixtures("small")
class TestBombs:
    def test_a_text_that_is_said_often_is_counted_as_often(self, tmp_path: Path) -> None:
        path = bomb(tmp_path / "x.parquet", 100_000, 4000)
        assert path.stat().st_size < 60_000
        with pytest.raises(SourceError, match=r"x\.parquet: unpacked, its 65,536 rows take 0\.5 G"):
            rows(path)

    def test_rows_are_counted_before_one_is_read(self, tmp_path: Path) -> None:
        path = bomb(tmp_path / "x.parquet", 2_000_000, 1)
        with pytest.raises(SourceError, match="its 2,000,000 rows take 0"):
            rows(path)

    def test_a_page_is_measured_before_it_is_unpacked(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
        pq.write_table(pa.table({"uri": ["x" * 40_000_000]}), path, **options)
        assert path.stat().st_size < 10_000
        with pytest.raises(SourceError, match="its 1 rows take 0"):
            rows(path)

    def test_packed_text_is_unpacked_as_far_as_it_fits(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "x.csv.gz", 100 * 2**20)
        with pytest.raises(SourceError, match=r"x\.csv\.gz: unpacked, .*larger machine"):
            rows(path)

    def test_a_large_file_is_not_read_at_all(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        with path.open("wb") as stream:
            stream.truncate(2**34)
        with pytest.raises(SourceError, match=r"x\.csv: unpacked, it takes 32\.0 GiB"):
            rows(path)

    def test_many_rows_of_text_are_counted(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("uri\n" + "a\n" * 300_000)
        with pytest.raises(SourceError, match=r"its [\d,]+ rows take"):
            rows(tmp_path / "x.csv")

    def test_an_honest_manifest_passes(self, tmp_path: Path) -> None:
        uris = [f"https://images.example.com/{index:09d}.jpg" for index in range(50_000)]
        pq.write_table(
            pa.table({"uri": uris, "site": ["x" * 100] * 50_000}), tmp_path / "x.parquet"
        )
        assert rows(tmp_path / "x.parquet", metadata=["site"]).num_rows == 50_000

    def test_names_of_very_many_columns_are_read_without_their_types(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("uri" + "," * 200_000 + "\na.jpg" + "," * 200_000 + "\n")
        code = CODE.replace("except SourceError as error:", "finally:")
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120
        )
        assert not done.returncode, done.stderr
        assert int(done.stdout) < 200_000

    def test_empty_cells_of_a_column_of_numbers_are_counted(self, tmp_path: Path) -> None:
        names = [f"c{number}" for number in range(100)]
        text = ",".join(["uri", *names]) + "\nx" + ",1" * 100 + "\n"
        text += "".join(f"{number:x}" + "," * 100 + "\n" for number in range(60_000))
        (tmp_path / "x.csv").write_text(text)
        assert rows(tmp_path / "x.csv").num_rows == 60_001
        with pytest.raises(SourceError, match=r"rows take 0\.0 GiB|rows take 0\.1 GiB"):
            rows(tmp_path / "x.csv", metadata=names)


CODE = """
import resource, sys
from tests.sources.contexts import context
from wslabel.errors import SourceError
from wslabel.sources import measured
from wslabel.sources.table import TableConfig
measured.memory_bytes = lambda: 2**28
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    TableConfig(source="table", path=sys.argv[1], metadata=sys.argv[2:]).list_images(context())
except SourceError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", ["dictionary", "gzip"])
def test_what_is_refused_has_taken_no_more_than_there_is(tmp_path: Path, kind: str) -> None:
    if kind == "gzip":
        path = zipped(tmp_path / "x.csv.gz", 300 * 2**20)
    else:
        path = bomb(tmp_path / "x.parquet", 300_000, 8000)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, timeout=120
    )
    assert int(done.stdout) * 1024 < 2**28, done.stderr


def test_the_memory_of_a_container_is_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(measured, "CGROUP", (str(limit), str(tmp_path / "none")))
    whole = measured.memory_bytes()
    for text, size in ((f"{2**27}\n", 2**27), ("max\n", whole)):
        limit.write_text(text)
        assert measured.memory_bytes() == size
