"""A folder of images gets a project file that loads and runs, whatever its folders are called."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.hidden import hidden
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


FOLDERS = st.text(
    st.characters(exclude_characters="/\0", codec="utf-8")
    | st.sampled_from("\n\r\t\x1b\x85\u2028\u202e\ufeff\ufffe'\": #-?,[]{}&*!|>%@`~\\"),
    min_size=1,
    max_size=60,
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 250)


def examples(text: str) -> list[dict[str, Any]]:
    """Read the labeling functions that stand in comments, as a user does who takes them in."""
    lines = [line.removeprefix("#   ") for line in text.split("\n") if line.startswith("#   ")]
    first = next(index for index, line in enumerate(lines) if line.startswith("- "))
    functions: list[dict[str, Any]] = yaml.safe_load("\n".join(lines[first:]))
    return functions


@given(st.sets(FOLDERS, min_size=2, max_size=4), FOLDERS)
@settings(max_examples=60, deadline=None)
@example({"a\nb", "yes", "null", "1e3"}, "x\nworkspace: elsewhere")
@example({"-", "- x", "? y", "#"}, "it's: {a}, [b] #c")
@example({"x" * 249, "\U0001f30a" * 60, "\u202e"}, "\x1b[2J")
def test_any_folder_gets_a_project_that_names_it_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], root: str
) -> None:
    folder = tmp_path_factory.mktemp("odd") / root
    for name in names:
        deep = folder / name / name if len(name) > 100 else folder / name
        deep.mkdir(parents=True)
        (deep / "a.jpg").touch()
    path = folder.parent / f"{root[:20]}.yaml"
    text = project_for(str(folder), path.name, S3())
    assert hidden(text) <= {"\n"}
    path.write_text(text, encoding="utf-8")
    project = load(path)
    expected = {f"{name}/{name}" if len(name) > 100 else name for name in names}
    assert set(project.classes) == expected
    assert project.images.classes == {name: name for name in expected}
    assert project.images.path == str(folder)
    assert project.workspace == str(folder.parent / "workspaces" / path.stem)
    if max(map(len, names)) <= 100:
        photos = {name: f"a photo of {name}" for name in project.classes[:2]}
        assert examples(text)[0]["prompts"] == photos


def test_a_folder_of_links_says_why_it_holds_no_image(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.jpg").symlink_to(scenes / "coast/c00.jpg")
    with pytest.raises(SourceError, match=r"no image found; .*left out: 1 symbolic links"):
        project_for(str(tmp_path / "links"), "p.yaml", S3())
