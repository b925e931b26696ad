"""Paths are relative to the file that names them, and what they name is there."""

from pathlib import Path

import pytest

from tests.projects import CNN, Change, assert_refused, full, put, write
from wslabel.features.classifier import ClassifierConfig
from wslabel.project.loading import load
from wslabel.sources.folder import FolderConfig

WRONG: dict[str, tuple[Change, list[str]]] = {
    "weights on the web": (
        put("features", "net", "weights", value="https://x.org/net.pth"),
        [": features.net.weights: expected a path or s3://..., found 'https://x.org/net.pth'"],
    ),
    "missing file of weights": (
        put("features", "net", "weights", value="nett.pth"),
        [": features.net.weights: there is no file", "nett.pth", "did you mean 'net.pth'?"],
    ),
    "missing file of categories": (
        put("features", "net", "categories", "file", value="name.txt"),
        [": features.net.categories.file: there is no file", "did you mean 'names.txt'?"],
    ),
    "missing file of word vectors": (
        put("labeling_functions", 1, "word_vectors", value="vector.bin"),
        [
            ": labeling_functions[1] (words).word_vectors: there is no file",
            "did you mean 'vectors.bin'?",
        ],
    ),
    "missing file of a clip model": (
        put("features", "clip", "model", value="clop.json"),
        [": features.clip.model: there is no file", "did you mean 'clip.json'?"],
    ),
    "missing checkpoint to start from": (
        put(
            "training",
            value={"network": "timm/x", "feature": "thumbnail", "weights": "nett.pth"},
        ),
        [": training.weights: there is no file", "did you mean 'net.pth'?"],
    ),
    "missing folder of images": (
        put("images", "path", value="photo"),
        [": images.path: there is no file", "did you mean 'photos'?"],
    ),
    "a path with a null byte": (
        put("images", "path", value="a\0b"),
        [": images.path: ", "is no path", "null byte"],
    ),
    "a path that is too long": (
        put("workspace", value="a" * 5000),
        [": workspace: ", "is no path", "too long"],
    ),
    "a variant from a missing checkpoint": (
        put(
            "training",
            value=CNN | {"variants": {"x": {"labels": "soft", "weights": "nett.pth"}}},
        ),
        [": training.variants.x.weights: there is no file", "did you mean 'net.pth'?"],
    ),
    "an example that is not there": (
        put("labeling_functions", 6, "image", value="beech.jpg"),
        [": labeling_functions[6] (like).image: there is no file", "did you mean 'beach.jpg'?"],
    ),
}


def test_relative_paths_are_relative_to_the_file(home: Path) -> None:
    project = load(write(home, full()))
    net = project.features["net"]
    assert isinstance(net, ClassifierConfig)
    assert project.workspace == str(home / "ws")
    assert project.images.path == str(home / "photos")
    assert net.weights == str(home / "net.pth")
    assert project.labeling_functions[1].word_vectors == str(home / "vectors.bin")  # type: ignore[union-attr]
    assert project.labeling_functions[6].image == str(home / "beach.jpg")  # type: ignore[union-attr]
    assert project.labeling_functions[4].function == f"{home / 'my_votes.py'}:vote"  # type: ignore[union-attr]


def test_remote_paths_stay_as_they_are(home: Path) -> None:
    config = full()
    config["workspace"] = "s3://bucket/ws"
    config["images"]["path"] = "s3://bucket/photos"
    config["features"]["net"]["weights"] = "s3://bucket/net.pth"
    project = load(write(home, config))
    assert project.workspace == "s3://bucket/ws"
    assert project.images.path == "s3://bucket/photos"
    assert project.features["net"].weights == "s3://bucket/net.pth"  # type: ignore[union-attr]


def test_outside_of_a_file_paths_stay_as_they_are() -> None:
    assert FolderConfig(source="folder", path="nowhere/at/all").path == "nowhere/at/all"


@pytest.mark.parametrize("name", WRONG)
def test_a_path_that_leads_nowhere_is_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
