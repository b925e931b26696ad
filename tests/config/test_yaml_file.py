"""A file holds keys and values, each key once, or one plain sentence says what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from wslabel.config.yaml_file import changed, dump, read
from wslabel.errors import ConfigError

TEXTS = {
    "an empty file": ("", ["expected keys and values, found NoneType"]),
    "a list": ("- 1", ["expected keys and values, found list"]),
    "plain text": ("sea", ["expected keys and values, found str"]),
    "an open bracket": ("classes: [", ["no valid YAML", "line 1"]),
    "a tab": ("a:\n\tb: 1", ["no valid YAML", "line 2"]),
    "a key twice": ("a: 1\nb: 2\na: 3", ["no valid YAML", "line 3: key 'a' is written twice"]),
    "a deep key twice": ("a:\n  b: 1\n  b: 2", ["line 3: key 'b' is written twice"]),
    "a list as key": ("? [1]\n: 2", ["no valid YAML", "unhashable"]),
    "a day that is none": ("a: 2024-99-99", ["no valid YAML", "month"]),
    "a number that is none": ("a: !!int x", ["no valid YAML", "'x'"]),
    "a truth that is none": ("a: !!bool x", ["no valid YAML", "'x'"]),
    "a time that is none": ("a: !!timestamp x", ["no valid YAML"]),
    "an endless number": ("a: " + "9" * 5000, ["no valid YAML", "digits"]),
    "an endless nesting": ("[" * 500, ["no valid YAML", "recursion"]),
    "a python object": ("a: !!python/object:os.system x", ["no valid YAML", "python/object"]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_is_no_keys_and_values_is_refused(tmp_path: Path, name: str) -> None:
    text, parts = TEXTS[name]
    path = tmp_path / "text.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    for part in (f"{path}: ", *parts):
        assert part in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"classes: \xff")
    with pytest.raises(ConfigError, match="no valid YAML"):
        read(path)


def test_a_missing_file_names_its_neighbor(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"no such project file; did you mean 'project\.yaml'"):
        read(tmp_path / "projekt.yaml")


def test_what_is_written_is_read_again_in_its_order(tmp_path: Path) -> None:
    path, raw = tmp_path / "a.yaml", {"z": [1, {"é": None}], "a": {"c": 0.5, "b": "no"}}
    path.write_text(dump(raw), encoding="utf-8")
    assert read(path) == raw
    assert list(read(path)) == ["z", "a"]


RAW: dict[str, Any] = {
    "training": {"epochs": 3},
    "pretraining": None,
    "labeling_functions": [{"name": "mean", "margin": 0.1}, {"name": "two"}],
}


def test_keys_are_changed_in_a_copy() -> None:
    changes = {
        "training.epochs": 5,
        "training.augment.rotation": 10,
        "pretraining.epochs": 1,
        "labeling_functions.two.margin": 0.2,
        "label_model.kind": "majority",
    }
    assert changed(Path("p.yaml"), RAW, changes) == {
        "training": {"epochs": 5, "augment": {"rotation": 10}},
        "pretraining": {"epochs": 1},
        "labeling_functions": [{"name": "mean", "margin": 0.1}, {"name": "two", "margin": 0.2}],
        "label_model": {"kind": "majority"},
    }
    assert RAW["training"] == {"epochs": 3}
    assert RAW["labeling_functions"][1] == {"name": "two"}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("labeling_functions.meen.margin", "no 'meen'; did you mean 'mean'"),
        ("training.epochs.first", "'first' stands in no section"),
        ("training.epochs.first.second", "'first' stands in no section"),
        ("labeling_functions.mean.margin.high", "'high' stands in no section"),
    ],
)
def test_a_key_in_no_section_is_refused(key: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"^p\.yaml: {key}: {told}"):
        changed(Path("p.yaml"), RAW, {key: 1})
