"""What was opened is known by where it lies, whatever its path leads to by now."""

import os
from pathlib import Path

import pytest

from wslabel.sources import opened as module
from wslabel.sources.opened import opened, read, real_path, resolved


@pytest.fixture(params=["told", "looked up"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, on a system that tells where open files lie, or on another."""
    if request.param == "looked up":
        monkeypatch.setattr(module, "DESCRIPTORS", "/nowhere/at/all")
        monkeypatch.setattr("sys.platform", "other")
    path = tmp_path / "folder" / "a b#\u00fc.jpg"
    path.parent.mkdir()
    path.write_bytes(b"0123456789")
    return path


def test_a_file_is_where_its_links_lead(path: Path, tmp_path: Path) -> None:
    (tmp_path / "folders").symlink_to("folder")
    (tmp_path / "link").symlink_to(f"folders/{path.name}")
    for name in (path, tmp_path / "folders" / path.name, tmp_path / "link"):
        with opened(str(name)) as file:
            assert real_path(file, str(name)) == os.path.realpath(path)
        assert resolved(str(name)) == os.path.realpath(path)
    assert resolved(str(tmp_path / "folders")) == os.path.realpath(path.parent)
    assert resolved(str(tmp_path / "folders" / "none")) == f"{os.path.realpath(path.parent)}/none"


def test_a_link_that_takes_its_place_is_not_what_was_opened(path: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_bytes(b"HUSH")
    (tmp_path / "link").symlink_to(tmp_path / "private")
    with opened(str(path)) as file:
        os.replace(tmp_path / "link", path)
        if module.sys.platform == "other":
            with pytest.raises(FileNotFoundError, match="was replaced while it was opened"):
                real_path(file, str(path))
        else:
            assert real_path(file, str(path)) == f"{os.path.realpath(path.parent)}/{path.name}"
        assert read(file, 10, 0) == b"0123456789"
    with opened(str(path)) as file:
        assert real_path(file, str(path)) == os.path.realpath(tmp_path / "private")


@pytest.mark.parametrize(
    ("start", "size", "data"), [(0, 10, b"0123456789"), (2, 3, b"234"), (8, 5, b"89"), (3, 0, b"")]
)
def test_a_part_is_read_as_far_as_it_goes(path: Path, start: int, size: int, data: bytes) -> None:
    with opened(str(path)) as file:
        assert read(file, size, start) == data


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "none"):
        with pytest.raises(FileNotFoundError), opened(f"{tmp_path}/{name}"):
            pass
    with pytest.raises(FileNotFoundError, match="is no file"), opened("/dev/null"):
        pass
