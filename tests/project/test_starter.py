"""A folder of images gets a project file that loads and runs, whatever its folders are called."""

import shutil
from pathlib import Path

import pytest

from tests.small import made
from wslabel.config.base import S3
from wslabel.errors import SourceError
from wslabel.project.loading import load
from wslabel.project.starter import project_for


@pytest.mark.usefixtures("cluster")
def test_a_folder_gets_a_project_that_runs(scenes: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(project_for(str(scenes), path.name, S3()))
    project = load(path)
    assert project.classes == ["coast", "forest"]
    assert made(project)["vote"] == 1
    odd = tmp_path / "a: b, {c}"
    for name in ("yes", "a, b: 'c' #1", "海"):
        shutil.copytree(scenes / "coast", odd / name)
    path.write_text(project_for(str(odd), path.name, S3()), encoding="utf-8")
    assert sorted(load(path).classes) == sorted(["yes", "a, b: 'c' #1", "海"])
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(scenes / "coast/c00.jpg", flat)
    path.write_text(project_for(str(flat), path.name, S3()))
    assert load(path).classes == ["this", "that"]
    with pytest.raises(SourceError, match="no image found"):
        project_for(str(tmp_path / "none"), path.name, S3())


def test_a_folder_of_links_says_why_it_holds_no_image(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.jpg").symlink_to(scenes / "coast/c00.jpg")
    with pytest.raises(SourceError, match=r"no image found; .*left out: 1 symbolic links"):
        project_for(str(tmp_path / "links"), "p.yaml", S3())
