"""A workspace that version 0.1 made, before any room was moved, is found finished by today's code.

`workspace.tar.gz` was made from `project.yaml` beside it at the commit "A present worker pays
nothing for absent ones", by `wslabel run`. Where a later version must name a table anew, it says so
here and makes the workspace again.
"""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from wslabel import pipeline
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.workspace.status import status

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "configs" / "demo"
DERIVED = ("votes", "labels", "predictions")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The project beside its workspace, laid out as it was."""
    folder = tmp_path / "tests" / "old"
    folder.mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    shutil.copytree(DEMO, tmp_path / "configs" / "demo")
    for name in ("project.yaml", "lfs.py"):
        shutil.copy(HERE / name, folder)
    with tarfile.open(HERE / "workspace.tar.gz") as tar:
        tar.extractall(folder, filter="data")
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
