"""A new kind is one class: a toy of each, defined outside of the library, goes the whole way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import wslabel
from tests import toy_kinds
from tests.conftest import BLUE_GREEN, write_config
from tests.small import feature, made, votes_of
from tests.toy_kinds import Busiest
from wslabel.config.preprocess import Preprocess
from wslabel.errors import ConfigError
from wslabel.features.decode import decode
from wslabel.features.resize import prepare
from wslabel.project.loading import REGISTRIES, load, register
from wslabel.project.project import Project
from wslabel.workspace.explain import explain
from wslabel.workspace.workspace import Workspace


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the toy kinds for one test."""
    with monkeypatch.context() as patch:
        for registry in REGISTRIES.values():
            patch.setattr(registry, "_kinds", dict(registry._kinds))
        for kind in toy_kinds.KINDS:
            register(kind)
        yield
    Project.model_rebuild(force=True)


def write(folder: Path, scenes: Path, **sections: Any) -> Path:
    """Write a project in which everything that can be is of a toy kind."""
    of = {"coast": "sea", "forest": "jungle"}
    paths = sorted(scenes.rglob("*.jpg"))
    (folder / "lines.txt").write_text("\n".join(f"{p} {of[p.parent.name]}" for p in paths))
    bright = {"kind": "bright", "feature": "light"}
    config = {
        "workspace": "ws",
        "classes": ["jungle", "sea"],
        "images": {"source": "lines", "path": "lines.txt", "shard_size": 8},
        "features": {"light": {"kind": "brightness"}, "color": None},
        "labeling_functions": [
            bright | {"name": "bright", "class_name": "sea", "above": 0.42},
            bright | {"name": "dark", "class_name": "jungle", "above": 0.3},
            {"name": "mean", "kind": "color", "statistic": "mean", "votes": BLUE_GREEN},
        ],
        "label_model": {"kind": "busiest"},
        "engine": {"actors": 1},
    }
    return write_config(folder / "toys.yaml", config | sections)


@pytest.mark.usefixtures("cluster", "toys")
@pytest.mark.parametrize("driver_groups", [0, 2], ids=["on ray", "in the driver"])
def test_toys_go_the_whole_way(scenes: Path, tmp_path: Path, driver_groups: int) -> None:
    engine = {"actors": 1, "driver_groups": driver_groups}
    project = load(write(tmp_path, scenes, engine=engine))
    stages = made(project)
    assert (stages["ingest"], stages["featurize"], stages["vote"], stages["label"]) == (8, 8, 1, 1)
    assert set(made(project).values()) == {0}

    lights = feature(project, "light").column("brightness").to_numpy()
    ids = feature(project, "light").column("image_id").to_pylist()
    data = {path.name: path.read_bytes() for path in scenes.rglob("*.jpg")}
    expected = [decode(data[name], 10**6).pixels_HW3.mean() / 255 for name in ids]
    assert lights.tolist() == pytest.approx(expected, rel=1e-5)
    assert votes_of(project, "bright").tolist() == np.where(lights > 0.42, 1, -1).tolist()
    assert votes_of(project, "dark").tolist() == np.where(lights > 0.3, 0, -1).tolist()

    workspace = Workspace(project)
    assert isinstance(workspace.fitted, Busiest)
    votes_NM = np.stack([votes_of(project, name) for name in ("bright", "dark", "mean")], axis=1)
    table = pa.concat_tables(workspace.labels.table.read(i.name) for i in workspace.labels.items)
    labels = [-1 if label is None else label for label in table.column("label").to_pylist()]
    probs_NK = workspace.fitted.probabilities(votes_NM)
    assert labels == [-1 if np.isnan(row[0]) else int(row.argmax()) for row in probs_NK]
    assert len(set(labels)) > 1

    asked = wslabel.next_images(project, {"kind": "of_class", "class_id": 1}, count=7)
    assert len(asked) == 7
    assert set(asked["label"]) == {"sea"}
    exported = wslabel.export_labels(project, {"kind": "words"}, folder=tmp_path)
    assert Path(exported).suffix == ".txt"
    names = ["jungle", "sea", "-"]
    lines = [f"{i} {names[label]}" for i, label in zip(ids, labels, strict=True)]
    assert Path(exported).read_text().splitlines() == lines


@pytest.mark.usefixtures("cluster", "toys")
def test_a_toy_network_is_loaded_and_known_by_its_file(scenes: Path, tmp_path: Path) -> None:
    weights = tmp_path / "shade.json"
    weights.write_text("[1, 0, 2]")
    network = {"kind": "shade", "model": "toy", "weights": "shade.json", "precision": "float32"}
    path = write(tmp_path, scenes, features={"net": network}, labeling_functions=[])
    project = load(path)
    assert made(project, until="featurize")["featurize"] == 8
    assert made(project, until="featurize")["featurize"] == 0
    table = feature(project, "net")
    data = {path.name: path.read_bytes() for path in scenes.rglob("*.jpg")}
    preprocess = Preprocess(resize=16, crop=16)
    means_N3 = [
        prepare(decode(data[name], 10**6), preprocess).mean(axis=(0, 1))
        for name in table.column("image_id").to_pylist()
    ]
    assert table.column("shade").to_pylist() == pytest.approx(np.array(means_N3) @ [1, 0, 2])
    weights.write_text("[0, 1, 0]")
    assert made(load(path), until="featurize")["featurize"] == 8


@pytest.mark.usefixtures("cluster", "toys")
def test_a_toy_is_explained_and_shown_as_all_are(scenes: Path, tmp_path: Path) -> None:
    project = load(write(tmp_path, scenes))
    made(project)
    bright = explain(Workspace(project), "c00.jpg")["votes"]["bright"]
    assert bright["above"] == 0.42
    assert (bright["score"] > 0.42) == (bright["vote"] == "sea")
    page = Path(project.workspace, Workspace(project).report).read_text()
    assert "bright" in page


@pytest.mark.usefixtures("toys")
def test_a_toy_is_checked_as_all_are(scenes: Path, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"images": {"source": "lines", "path": "line.txt"}}, r"images\.path: there is no file"),
        ({"images": {"source": "linse"}}, "unknown source 'linse'; did you mean 'lines'"),
        ({"features": {"light": {"kind": "brightnes"}}}, "did you mean 'brightness'"),
        ({"features": {"light": {"kind": "color"}}}, "no brightness feature named 'light'"),
        ({"label_model": {"kind": "busiest", "epochs": 3}}, "unknown key 'epochs'"),
    ]
    project = load(write(tmp_path, scenes))
    assert Project.model_validate(project.model_dump(mode="json")) == project
    for sections, told in wrong:
        with pytest.raises(ConfigError, match=told):
            load(write(tmp_path, scenes, **sections))


def test_without_its_line_in_the_registry_a_kind_is_unknown(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, scenes))
    text = str(caught.value)
    for part in ("source 'lines'", "kind 'brightness'", "kind 'bright'", "kind 'busiest'"):
        assert f"unknown {part}" in text
