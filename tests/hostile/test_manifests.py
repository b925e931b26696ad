"""A manifest is taken whole or refused in one sentence; a row of nothing is an error of its own."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import tiny_config, write_config
from tests.hostile.manifests import Manifest, manifests, parquet
from wslabel.config.base import S3
from wslabel.errors import SourceError, WslabelError
from wslabel.features.decode import Undecodable, decode
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.schema import ERROR_KINDS
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.stages import ingest
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (8, 8), (20, 60, 200)).save(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "sub").mkdir()
    return tmp_path


def project(folder: Path, name: str, **more: Any) -> Project:
    config = tiny_config(folder) | {"images": {"source": "table", "path": name} | more}
    return load(write_config(folder / "p.yaml", config))


def ingested(made: Project) -> pa.Table:
    ingest.run(Workspace(made))
    workspace = Workspace(made)
    return pa.concat_tables(workspace.images.read(shard_name(s)) for s in workspace.shards)


def error_of(uri: str) -> str | None:
    """Fetch and decode as a worker does; what it may raise is a kind of error."""
    try:
        decode(Fetcher(S3(region="us-east-1"))(uri), 10**6)
    except (Unfetchable, Undecodable) as error:
        return error.kind
    return None


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    corpus = manifests()
    assert len(corpus) >= 40
    assert len({(m.data, m.name, str(m.settings)) for m in corpus}) == len(corpus)


@pytest.mark.parametrize("manifest", manifests(), ids=lambda m: m.what)
@pytest.mark.timeout(60)
def test_a_manifest_is_taken_whole_or_refused(folder: Path, manifest: Manifest) -> None:
    (folder / manifest.name).write_bytes(manifest.data)
    listed = project(folder, manifest.name, **manifest.settings)
    if manifest.says is not None:
        with pytest.raises(SourceError, match=manifest.says) as caught:
            ingest.run(Workspace(listed))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 700
        assert Workspace(listed).shards == []
        return
    images = ingested(listed)
    assert images.num_rows == manifest.rows
    errors = [error_of(uri) for uri in images.column("uri").to_pylist()]
    assert sum(error is not None for error in errors) == manifest.missing
    assert {error for error in errors if error is not None} <= set(ERROR_KINDS)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({"y": [1999]}, {"y": ["unknown", "1998"]}, "column 'y' was of type int64 .* string now"),
        ({"y": [[1.5]]}, {"y": ["x", "y"]}, "column 'y' was of type list<"),
        ({"y": ["1999"]}, {"y": [1999, 2000]}, None),
        ({"y": pa.nulls(1)}, {"y": ["x", "y"]}, None),
    ],
)
def test_columns_keep_the_type_that_they_had(
    folder: Path, before: dict[str, Any], after: dict[str, Any], says: str | None
) -> None:
    (folder / "list.parquet").write_bytes(parquet({"uri": ["a.jpg"]} | before))
    listed = project(folder, "list.parquet", metadata=["y"])
    assert ingested(listed).num_rows == 1
    (folder / "list.parquet").write_bytes(parquet({"uri": ["a.jpg", "b.jpg"]} | after))
    if says is None:
        assert ingested(listed).num_rows == 2
        return
    with pytest.raises(SourceError, match=says):
        ingest.run(Workspace(listed))
    assert len(Workspace(listed).shards) == 1


CELLS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["a.jpg", "s3://", "http://", '"', ",", "\n", "\0", "../", "#bytes=1-2", "train", "sea", ""]
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=0, max_size=4), max_size=6),
    header=st.sampled_from(["uri", "uri,id", "id,uri,part,class,title", ""]),
    cut=st.integers(0, 200),
)
@settings(max_examples=150, deadline=None)
def test_no_csv_is_taken_in_part_or_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], header: str, cut: int
) -> None:
    _ends_well(tmp_path_factory.mktemp("csv"), "list.csv", _csv(header, rows)[cut // 4 :])


@given(
    noise=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 400) | st.just(0),
)
@settings(max_examples=100, deadline=None)
def test_no_broken_parquet_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, noise: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(parquet({"uri": [f"{i}.jpg" for i in range(20)], "id": list(range(20))}))
    for place, value in noise:
        data[place % len(data)] = value
    _ends_well(tmp_path_factory.mktemp("pq"), "list.parquet", bytes(data[: len(data) - cut]))


def _csv(header: str, rows: list[list[str]]) -> bytes:
    sink = io.StringIO()
    sink.write(header + "\n")
    for row in rows:
        sink.write(",".join(row) + "\n")
    return sink.getvalue().encode("utf-8", "surrogatepass")


def _ends_well(folder: Path, name: str, data: bytes) -> None:
    """Either every row stands in the manifest under an id of its own, or nothing does."""
    (folder / name).write_bytes(data)
    listed = project(folder, name)
    try:
        images = ingested(listed)
    except WslabelError as error:
        said = str(error)
    else:
        said = None
    if said is not None:
        assert "\n" not in said
        assert Workspace(listed).shards == []
        return
    ids = images.column("image_id").to_pylist()
    assert len(set(ids)) == len(ids) > 0
    if name.endswith(".csv"):
        text = io.StringIO(data.decode("utf-8-sig"), newline="")
        assert len(ids) == len([row for row in csv.reader(text, strict=True) if row]) - 1
    assert images.column("uri").null_count == 0
