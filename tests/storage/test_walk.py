"""Every file below a folder is found once, whatever symbolic links there are."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.storage.walk import BROKEN, LISTED, OUTSIDE, SPECIAL, UNNAMED, each_once, walk


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def found(root: Path, *, follow_links: bool = False) -> tuple[list[str], dict[str, int]]:
    left_out: Counter[str] = Counter()
    entries = walk(str(root), left_out, follow_links=follow_links)
    return [entry.path for entry in entries], dict(left_out)


def test_a_link_to_the_folder_that_it_lies_in_adds_nothing(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "a/1.jpg", "a/b/2.jpg")
    (root / "a" / "b" / "up").symlink_to("..")
    assert found(root) == (["a/1.jpg", "a/b/2.jpg"], {LISTED: 1})


@pytest.mark.parametrize("follow_links", [False, True])
def test_loops_end(tmp_path: Path, follow_links: bool) -> None:
    root, other = photos(tmp_path / "p", "1.jpg"), photos(tmp_path / "q", "2.jpg")
    for number in range(30):
        (root / f"l{number:02d}").symlink_to(root)
        (root / f"o{number:02d}").symlink_to(other)
        (other / f"o{number:02d}").symlink_to(root)
        (other / f"l{number:02d}").symlink_to(other)
    paths, left_out = found(root, follow_links=follow_links)
    if follow_links:
        assert (paths, left_out) == (["1.jpg", "o00/2.jpg"], {LISTED: 119})
    else:
        assert (paths, left_out) == (["1.jpg"], {LISTED: 30, OUTSIDE: 30})


def test_what_links_lead_out_of_the_folder_to_is_left_out_unless_followed(tmp_path: Path) -> None:
    root, other = photos(tmp_path / "p", "a/1.jpg"), photos(tmp_path / "other", "x/2.jpg", "3.jpg")
    (root / "folder").symlink_to(other / "x")
    (root / "file.jpg").symlink_to("../other/3.jpg")
    assert found(root) == (["a/1.jpg"], {OUTSIDE: 2})
    assert found(root, follow_links=True) == (["a/1.jpg", "file.jpg", "folder/2.jpg"], {})


def test_a_folder_whose_name_begins_like_the_root_is_outside(tmp_path: Path) -> None:
    root, other = photos(tmp_path / "p", "1.jpg"), photos(tmp_path / "p-private", "2.jpg")
    (root / "link").symlink_to(other)
    assert found(root) == (["1.jpg"], {OUTSIDE: 1})


def test_a_link_to_a_file_below_is_another_name_of_it(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "all/1.jpg", "all/2.jpg", "sea/3.jpg")
    (root / "sea" / "1.jpg").symlink_to("../all/1.jpg")
    left_out: Counter[str] = Counter()
    entries = walk(str(root), left_out)
    assert {entry.path: entry.real for entry in entries if entry.real} == {
        "sea/1.jpg": f"{tmp_path}/p/all/1.jpg"
    }
    once = [entry.path for entry in each_once(entries, str(root), left_out)]
    assert once == ["all/1.jpg", "all/2.jpg", "sea/3.jpg"]
    preferred = each_once(entries, str(root), left_out, first={"sea/1.jpg", "sea/3.jpg"})
    assert [entry.path for entry in preferred] == ["all/2.jpg", "sea/1.jpg", "sea/3.jpg"]
    assert left_out == {LISTED: 2}


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "a/1.jpg")
    (root / "a" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "latest").symlink_to(root)
    assert found(tmp_path / "latest") == (["a/1.jpg", "a/2.jpg"], {})


def test_what_is_no_file_is_counted(tmp_path: Path) -> None:
    root = photos(tmp_path / "p", "1.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "device.jpg").symlink_to("/dev/zero")
    (root / "nothing.jpg").symlink_to("nowhere")
    (root / "itself.jpg").symlink_to("itself.jpg")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.jpg")).touch()
    counts = {SPECIAL: 2, BROKEN: 2, UNNAMED: 1}
    assert found(root, follow_links=True) == (["1.jpg"], counts)


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert found(tmp_path / "none") == ([], {})


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_each_file_is_found_once_and_none_from_outside(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    top = tmp_path_factory.mktemp("w")
    folders = ["tree", "tree/a", "tree/a/b", "tree/c", "out", "out/d"]
    photos(top, *(f"{folder}/{folder.replace('/', '-')}.jpg" for folder in folders))
    place = st.tuples(st.sampled_from(folders), st.sampled_from([".", "..", "/", *folders]))
    for number, (folder, target) in enumerate(data.draw(st.lists(place, max_size=8))):
        to = top / target if target in folders else Path(target)
        if target != "/":
            (top / folder / f"link{number}").symlink_to(to)
    left_out: Counter[str] = Counter()
    for follow_links in (False, True):
        entries = walk(str(top / "tree"), left_out, follow_links=follow_links)
        reals = [os.path.realpath(top / "tree" / entry.path) for entry in entries]
        assert len(set(reals)) == len(reals)
        inside = [real for real in reals if real.startswith(f"{top}/tree/")]
        assert len(inside) == 4
        assert follow_links or reals == inside
