"""A project file with every section and every kind, and ways to spoil it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wslabel.errors import ConfigError
from wslabel.project.loading import load

Config = dict[str, Any]
Change = Callable[[Config], object]

ENDPOINT = "http://key:secret@host"
FILES = ("net.pth", "names.txt", "clip.json", "clip.pt", "vectors.bin", "beach.jpg")
"""Files that the full project names; it also names a folder `photos` and a module `my_votes`."""

FUNCTIONS = ("mean", "words", "one", "two", "mine", "listed", "like")
"""Names of its labeling functions, in their order."""


def full() -> Config:
    """Every section, every kind that a folder of images allows."""
    return {
        "workspace": "ws",
        "classes": ["jungle", "sea"],
        "images": {
            "source": "folder",
            "path": "photos",
            "classes": {"jungle": "forest", "sea": ["coast", "beach"]},
            "other_folders": "keep",
            "extensions": [".jpg"],
            "split": {"train": 0.5, "val": 0.25, "test": 0.25},
            "seed": 3,
            "shard_size": 8,
            "s3": {"anonymous": True},
        },
        "features": {
            "color": None,
            "thumbnail": {"size": 32, "quality": 80},
            "net": {
                "kind": "classifier",
                "model": "timm/test_efficientnet",
                "model_options": {"num_classes": 5},
                "weights": "net.pth",
                "categories": {"file": "names.txt", "skip_lines": 1},
                "preprocess": {"resize": 32, "crop": 32, "interpolation": "bicubic"},
                "top_k": 2,
                "embedding": True,
                "precision": "float32",
                "batch_size": 4,
            },
            "clip": {"model": "clip.json", "weights": "clip.pt"},
        },
        "labeling_functions": [
            {
                "name": "mean",
                "kind": "color",
                "statistic": "mean",
                "votes": {"blue": "sea", "green": "jungle"},
            },
            {
                "name": "words",
                "kind": "category",
                "feature": "net",
                "word_vectors": "vectors.bin",
                "words": {"sea": ["sea"], "jungle": ["forest"]},
                "min_probability": 0.1,
            },
            {
                "name": "one",
                "kind": "similarity",
                "feature": "clip",
                "text": "a photo of the sea",
                "class": "sea",
                "present_above": 0.2,
            },
            {
                "name": "two",
                "kind": "similarity",
                "feature": "clip",
                "prompts": {"sea": "the sea", "jungle": ["a forest", "trees"]},
                "margin": 0.1,
            },
            {"name": "mine", "kind": "python", "function": "my_votes:vote", "features": ["color"]},
            {"name": "listed", "kind": "category", "feature": "net"}
            | {"categories": {"sea": ["b"], "jungle": ["c"]}},
            {"name": "like", "kind": "similarity", "feature": "clip", "image": "beach.jpg"}
            | {"crop": [0, 0.5, 1, 1], "class": "sea"}
            | {"present_above": {"quantile": 0.9}, "absent_below": {"quantile": 0.1}},
        ],
        "label_model": {"kind": "snorkel", "epochs": 5, "class_balance": [0.4, 0.6]},
        "training": {"network": "linear", "feature": "net", "labels": ["soft"], "epochs": 2},
        "engine": {"actors": 1, "batch_size": 4},
        "s3": {"endpoint": "http://127.0.0.1:9", "region": "eu-west-1"},
    }


CNN = {"network": "cnn", "feature": "thumbnail", "labels": ["soft"]}
PATTERN = {"name": "title", "kind": "pattern", "column": "title", "class": "sea"}
GENERATED = {"source": "generated", "path": "photos"}
CLASSIFIER = {"kind": "classifier", "model": "timm/x"}
SIMILARITY = {"name": "s", "kind": "similarity", "feature": "clip"}
TABLE = {"source": "table", "path": "photos"}


def write(home: Path, config: object) -> Path:
    """Write a project file."""
    path = home / "project.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def put(*path: str | int, value: object) -> Change:
    """Write a value at a place."""

    def change(config: Config) -> None:
        place: Any = config
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def three_classes(config: Config) -> None:
    """Add a class."""
    config["classes"] = ["jungle", "sea", "city"]
    config["label_model"] = {}


def both(*changes: Change) -> Change:
    """Make several changes."""

    def change(config: Config) -> None:
        for one in changes:
            one(config)

    return change


def drop(*path: str | int) -> Change:
    """Leave a key out."""

    def change(config: Config) -> None:
        place: Any = config
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def assert_refused(home: Path, change: Change, parts: list[str]) -> None:
    """See that a changed project is refused in sentences that name the file and hold all parts."""
    config = full()
    change(config)
    path = write(home, config)
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    for part in parts:
        assert part in text
    assert len(text.splitlines()) <= 2  # a union gives a sentence for each of its forms
