"""A workspace that an earlier commit made is found finished by today's code.

`workspace.tar.gz` was made by `make.py` from `project.yaml`, both beside this file. It was made
anew once, when tables came to be named by what was set, and files to say of which images they are.
Of the workspace that version 0.1 made before, `images-0.1.tar.gz` holds the manifest.
"""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.old_workspace.make import extract, lay_out
from wslabel import pipeline
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.workspace.status import status

DERIVED = ("votes", "labels", "predictions")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The project beside its workspace, laid out as it was."""
    folder = lay_out(tmp_path)
    extract("workspace.tar.gz", folder)
    return load(folder / "project.yaml")


def files(project: Project) -> set[str]:
    root = Path(project.workspace)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_every_stage_finds_nothing_to_do(project: Project) -> None:
    before = files(project)
    made = {result.stage: result.made for result in pipeline.run(project)}
    assert made == dict.fromkeys((stage.name for stage in pipeline.STAGES), 0)
    assert files(project) == before
    assert all(table.missing == 0 for table in status(project))


def test_what_is_made_again_has_the_same_names_and_rows(project: Project) -> None:
    root, before = Path(project.workspace), files(project)
    rows = {name: pq.read_table(root / name) for name in before if name.startswith(DERIVED)}
    for folder in DERIVED:
        shutil.rmtree(root / folder)
    for constant in (root / "constants").glob("category-*"):
        constant.unlink()
    list(pipeline.run(project))
    assert {name for name in files(project) if not name.startswith("logs/")} == before
    for name, table in rows.items():
        again = pq.read_table(root / name)
        assert again.schema == table.schema, name
        for column in table.column_names:
            assert_equal(again.column(column).to_pylist(), table.column(column).to_pylist())


def assert_equal(found: list[object], expected: list[object]) -> None:
    """Compare exactly, but probabilities to what another processor's arithmetic may change."""
    if isinstance(expected[0], list):
        known = [row for row in expected if row is not None]
        assert [row is None for row in found] == [row is None for row in expected]
        assert np.allclose([row for row in found if row is not None], known, atol=1e-5)
        return
    assert found == expected


def test_the_manifest_of_version_0_1_stays_as_it_is_and_grows(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    extract("images-0.1.tar.gz", folder)
    manifest = folder / "workspace" / "images"
    for path in manifest.iterdir():  # its images lay in a folder that no machine has
        shard = pq.read_table(path)
        names = [Path(uri).name for uri in shard["uri"].to_pylist()]
        here = pa.array([str(folder / "images" / name) for name in names])
        index = shard.column_names.index("uri")
        pq.write_table(shard.set_column(index, "uri", here).cast(shard.schema), path)
    before = {path.name: path.read_bytes() for path in manifest.iterdir()}
    text = (folder / "project.yaml").read_text()
    (folder / "project.yaml").write_text(text.replace("count: 48", "count: 50"))
    project = load(folder / "project.yaml")
    made = {result.stage: result.made for result in pipeline.run(project, until="label")}
    assert made == {"ingest": 1, "featurize": 4, "vote": 1, "label": 1}
    assert {name: (manifest / name).read_bytes() for name in before} == before
    images = pa.concat_tables(pq.read_table(path) for path in sorted(manifest.iterdir()))
    assert images.num_rows == 50
    lacking = [table.table for table in status(project) if table.missing]
    assert all(name.startswith("predictions/") for name in lacking)
