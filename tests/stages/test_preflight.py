"""What needs no image to be found wrong is refused before the first image is fetched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.conftest import CNN, Networks, tiny_config
from tests.small import like, made, small_project
from wslabel.errors import ConfigError, LabelingFunctionError, WeightsError, WslabelError
from wslabel.networks.modules import Cnn
from wslabel.project.project import Project
from wslabel.stages import ingest, preflight
from wslabel.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("cluster")

Refused = type[WslabelError]
Sections = dict[str, Any]

SOURCE = """
import statistics
import numpy as np

TITLES = {"known title": 1}

def fractions(batch):
    return np.zeros(len(batch["color_mean_red"]))

def short(batch):
    return np.zeros(1, int)

def nothing(batch):
    pass

def many(batch):
    return np.full(len(batch["color_mean_red"]), 2)

def blind(batch):
    return np.where(batch["image_id"] == "a", 0, 1)

def undefined(batch):
    return np.zeros(size_of(batch), int)

def pair(red, blue):
    return np.where(red > blue, 0, 1)

def steady(batch):
    assert (batch["color_pixels_red"] >= -1).all()
    return np.where(batch["color_mean_red"] > 100, 0, -1)

def known(batch):
    return np.array([TITLES[title] for title in batch["title"]])

def sums(batch):
    return np.array([int(statistics.mean([red]) > 100) for red in batch["color_mean_red"].tolist()])

def unready(batch):
    if np.isnan(batch["color_mean_red"]).any():
        raise ZeroDivisionError("no red")
    return np.zeros(len(batch["color_mean_red"]), int)
"""


def titled(folder: Path, scenes: Path) -> dict[str, Any]:
    """Give a section of images with metadata."""
    paths = sorted(str(path) for path in scenes.rglob("*.jpg"))
    titles, years = ["known title"] * len(paths), list(range(len(paths)))
    table = pa.table({"uri": paths, "title": titles, "year": years})
    pq.write_table(table, folder / "list.parquet")
    images = {"source": "table", "path": "list.parquet", "metadata": ["title", "year"]}
    return images | {"shard_size": 8}


def own(name: str, **more: Any) -> dict[str, Any]:
    section = {"kind": "python", "function": f"own:{name}", "features": ["color"]}
    return {"name": name} | section | more


def project_of(folder: Path, scenes: Path, *functions: dict[str, Any], **more: Any) -> Project:
    (folder / "own.py").write_text(SOURCE)
    all_functions = tiny_config(scenes)["labeling_functions"] + list(functions)
    return small_project(folder, scenes, labeling_functions=all_functions, **more)


def assert_refused_early(project: Project, error: Refused, match: str) -> None:
    """See that a run is refused, with its images listed and none of them looked at."""
    with pytest.raises(error, match=match):
        made(project)
    assert Workspace(project).shards
    assert not Path(project.workspace, "features").exists()


PYTHON: dict[str, tuple[dict[str, Any], Refused, str]] = {
    "fractions": (own("fractions"), LabelingFunctionError, r"expected 4 integers .*float64"),
    "one vote for all": (own("short"), LabelingFunctionError, r"found int64 of shape \(1,\)"),
    "no votes": (own("nothing"), LabelingFunctionError, r"found object of shape \(\)"),
    "a third class of two": (own("many"), LabelingFunctionError, "voted 2 on image 'made-up image"),
    "ids": (own("blind"), LabelingFunctionError, "blind .*it sees no column 'image_id'"),
    "a name that is none": (own("undefined"), LabelingFunctionError, "'size_of' is not defined"),
    "two arguments": (own("pair"), ConfigError, r"of one argument, found pair\(red, blue\)"),
    "no such function": (own("stedy"), ConfigError, "no function 'stedy'; did you mean 'steady'"),
}


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_function_that_cannot_work_is_refused(
    scenes: Path, tmp_path: Path, name: str
) -> None:
    function, error, match = PYTHON[name]
    assert_refused_early(project_of(tmp_path, scenes, function), error, match)


def test_a_pattern_in_a_column_of_numbers_is_refused(scenes: Path, tmp_path: Path) -> None:
    years = {"name": "years", "kind": "pattern", "column": "year", "class": "sea", "regex": "19"}
    project = project_of(tmp_path, scenes, years, images=titled(tmp_path, scenes))
    assert_refused_early(project, ConfigError, r"\(years\): expected text in column 'year', found")


BY_WORDS = {"kind": "category", "feature": "net", "words": {"sea": ["sea"], "jungle": ["tree"]}}


def test_functions_of_networks_that_cannot_work_are_refused(
    photos: Path, networks: Networks, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "words.bin").write_bytes(b"no word vectors")
    example = {"image": str(photos / "broken.jpg"), "present_above": {"quantile": 0.9}}
    listed = {"kind": "category", "feature": "net", "categories": {"sea": ["fishing boot"]}}
    cases: list[tuple[dict[str, Any], Refused, str]] = [
        ({"name": "listed"} | listed, ConfigError, "no category 'fishing boot'; did you mean 'fi"),
        (
            {"name": "words", "word_vectors": "words.bin"} | BY_WORDS,
            WeightsError,
            "words.bin: expected fastText's binary format",
        ),
        (like(photos) | example, ConfigError, r"\(like\)\.image: '.*broken.jpg' is no image"),
    ]
    categories = {"file": str(networks.categories)}
    net = networks.net(categories=categories, top_k=2)
    features = {"color": None, "net": net, "clip": networks.clip()}
    for function, error, match in cases:
        project = project_of(tmp_path, photos, function, features=features)
        assert_refused_early(project, error, match)


def test_networks_that_cannot_start_are_refused(scenes: Path, tmp_path: Path) -> None:
    torch.save(Cnn(2, (8, 16)).state_dict(), tmp_path / "other.pt")
    soft = CNN | {"labels": "soft"}
    cases: list[tuple[Sections, str]] = [
        ({"training": soft | {"weights": "other.pt"}}, "other.pt: no tensor '0.weight' of shape"),
        ({"training": soft | {"network": "timm/resnet999"}}, "timm has no network 'resnet999'"),
        (
            {"training": soft | {"preprocess": {"resize": 4, "crop": 4}}},
            r"cnn: does not take images of 4 x 4 pixels \(preprocess.crop\)",
        ),
        (
            {"pretraining": CNN | {"method": "rotation", "weights": "other.pt"}},
            "other.pt: no tensor '0.weight' of shape",
        ),
        (
            {"pretraining": CNN | {"network": "torchvision/squeezenet1_0", "augment": {}}},
            "no linear layer that could be its head",
        ),
        (
            {"training": soft | {"variants": {"b": {"labels": "soft", "network": "timm/nix"}}}},
            "timm has no network 'nix'",
        ),
    ]
    for sections, match in cases:
        features = {"color": None, "thumbnail": {"size": 16}}
        project = project_of(tmp_path, scenes, features=features, **sections)
        assert_refused_early(project, WeightsError, match)


def test_what_begins_from_a_body_that_is_yet_to_be_pretrained_can_start(
    scenes: Path, tmp_path: Path
) -> None:
    features = {"color": None, "thumbnail": {"size": 16}}
    sections = {"pretraining": CNN | {"method": "rotation"}}
    sections["training"] = CNN | {"labels": "soft", "weights": "pretrained"}
    project = project_of(tmp_path, scenes, features=features, **sections)
    assert made(project, until="featurize") == {"ingest": 8, "featurize": 8}


@pytest.mark.parametrize(
    ("sections", "match"),
    [
        ({"training": CNN}, "training.labels: original needs truth, .* split 'train'"),
        (
            {"training": CNN | {"labels": "soft", "validate_on": "truth"}},
            "training.validate_on: truth needs truth, .* split 'val'",
        ),
        (
            {"training": CNN | {"labels": "soft", "variants": {"t": {"labels": "original"}}}},
            r"training.variants.t.labels: original needs truth, .* split 'train'",
        ),
        (
            {"pretraining": CNN | {"method": "rotation", "probe": "weak"}},
            "pretraining.probe: weak needs truth, .* split 'test'",
        ),
    ],
)
def test_truth_that_no_image_has_is_missed_at_once(
    scenes: Path, tmp_path: Path, sections: Sections, match: str
) -> None:
    images = {"source": "folder", "path": str(scenes), "shard_size": 8}
    features = {"color": None, "thumbnail": {"size": 16}}
    project = project_of(tmp_path, scenes, images=images, features=features, **sections)
    assert_refused_early(project, ConfigError, match)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[Project], list[str]]:
    """Give what a preflight tells."""
    lines: list[str] = []
    monkeypatch.setattr(preflight, "tell", lines.append)

    def fly(project: Project) -> list[str]:
        ingest.run(Workspace(project))
        preflight.run(Workspace(project))
        return lines

    return fly


def test_functions_that_work_pass_in_silence(
    scenes: Path, tmp_path: Path, networks: Networks, told: Callable[[Project], list[str]]
) -> None:
    """Of metadata there are real values, so that a function may look a title up."""
    near = like(scenes, present_above={"quantile": 0.9}, absent_below={"quantile": 0.1})
    functions = [own("steady"), own("sums"), near, own("known", features=[], metadata=["title"])]
    features = {"color": None, "clip": networks.clip()}
    images = titled(tmp_path, scenes)
    assert told(project_of(tmp_path, scenes, *functions, features=features, images=images)) == []
    assert not list(Path(tmp_path, "ws", "constants").glob("quantile-*"))


def test_a_failure_that_may_be_of_the_made_up_values_is_told_and_no_more(
    scenes: Path, tmp_path: Path, told: Callable[[Project], list[str]]
) -> None:
    (line,) = told(project_of(tmp_path, scenes, own("unready")))
    assert line.startswith(
        "warning: labeling function unready raised on image 'made-up image without features': "
        "ZeroDivisionError: no red"
    )
