"""A Parquet file that asks for a library's own types is told from one that does not."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.planted import pickled
from wslabel.errors import StorageError
from wslabel.storage.location import Location
from wslabel.storage.plain import has_added_types
from wslabel.storage.table import Table

RAY = "ray.data.arrow_pickled_object"


def with_objects(path: Path, witness: Path, name: str = RAY, column: str = "title") -> Path:
    """Write a table with a column of Python objects, as Ray Data does."""
    added = pa.field(
        column,
        pa.large_binary(),
        metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": ""},
    )
    schema = pa.schema([pa.field("uri", pa.string()), added])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table([["/a.jpg"], [pickled(witness)]], schema=schema), path)
    return path


def test_it_is_told_wherever_the_column_is(tmp_path: Path) -> None:
    path = with_objects(tmp_path / "x.parquet", tmp_path / "ran")
    assert has_added_types(pq.read_metadata(path))
    nested = pa.struct([pa.field("a", pa.binary(), metadata={"ARROW:extension:name": "x"})])
    pq.write_table(pa.table({"s": pa.array([{"a": b"1"}], nested)}), tmp_path / "y.parquet")
    assert has_added_types(pq.read_metadata(tmp_path / "y.parquet"))


def test_plain_types_are_plain(tmp_path: Path) -> None:
    table = pa.table({"a": [1], "b": ["x"], "c": [[1.0]], "d": pa.array(["x"]).dictionary_encode()})
    for stored in (True, False):
        pq.write_table(table, tmp_path / "x.parquet", store_schema=stored)
        assert not has_added_types(pq.read_metadata(tmp_path / "x.parquet"))


@pytest.mark.parametrize("folder", ["images", "features/color-1"])
def test_a_planted_table_of_a_workspace_is_refused(tmp_path: Path, folder: str) -> None:
    with_objects(tmp_path / folder / "00000.parquet", tmp_path / "ran")
    table = Table(Location(str(tmp_path)), folder)
    for read in (
        lambda: table.read("00000.parquet", ["title"]),
        lambda: table.read_row_groups("00000.parquet"),
        lambda: table.read_row_group("00000.parquet", 0, ["title"]),
        lambda: table.read_rows("00000.parquet", ["title"], slice(0, 1)),
    ):
        with pytest.raises(StorageError, match=r"00000\.parquet: has columns of a type"):
            read()


CODE = """
import sys
import ray.data.extensions
from ray.data._internal.object_extensions.arrow import ArrowPythonObjectType
import pyarrow as pa
try:
    pa.register_extension_type(ArrowPythonObjectType())
except pa.ArrowKeyError:
    pass
from tests.sources.contexts import context
from wslabel.sources.table import TableConfig
settings = TableConfig(source="table", path=sys.argv[1], metadata=["title"])
try:
    print(settings.list_images(context()).to_pylist())
except Exception as error:
    print(type(error).__name__, error)
"""


def test_ray_datas_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = with_objects(tmp_path / "x.parquet", tmp_path / "ran")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, timeout=120
    )
    assert "SourceError" in done.stdout, done.stderr
    assert not (tmp_path / "ran").exists()
