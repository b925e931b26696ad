"""A project file becomes a Project or one plain sentence per problem."""

import copy
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wslabel.config import fingerprint, load
from wslabel.errors import ConfigError
from wslabel.settings import Classifier, LabelModel, Project

Config = dict[str, Any]
Change = Callable[[Config], object]
ENDPOINT = "http://key:secret@host"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the full config names."""
    root = tmp_path_factory.mktemp("home")
    (root / "photos").mkdir()
    for name in ("net.pth", "names.txt", "clip.json", "clip.pt", "vectors.bin", "beach.jpg"):
        (root / name).write_text("x")
    (root / "my_votes.py").write_text("def vote(batch): ...\n")
    return root


def full() -> Config:
    """Every section, every kind."""
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
            {"name": "title", "kind": "pattern", "column": "title", "class": "sea"}
            | {"keywords": ["beach", "high tide"]},
        ],
        "label_model": {"kind": "snorkel", "epochs": 5, "class_balance": [0.4, 0.6]},
        "training": {"network": "linear", "feature": "net", "labels": ["soft"], "epochs": 2},
        "engine": {"actors": 1, "batch_size": 4},
        "s3": {"endpoint": "http://127.0.0.1:9", "region": "eu-west-1"},
    }


CNN = {"network": "cnn", "feature": "thumbnail", "labels": ["soft"]}
PATTERN = {"name": "title", "kind": "pattern", "column": "title", "class": "sea"}


def write(home: Path, config: object) -> Path:
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


def test_a_full_config_loads(home: Path) -> None:
    project = load(write(home, full()))
    assert isinstance(project, Project)
    assert [vote.name for vote in project.labeling_functions] == [
        "mean",
        "words",
        "one",
        "two",
        "mine",
        "listed",
        "like",
        "title",
    ]
    assert project.features["color"].kind == "color"
    assert project.images.split.train == 0.5
    assert project.label_model.class_balance == [0.4, 0.6]


def test_relative_paths_are_relative_to_the_file(home: Path) -> None:
    project = load(write(home, full()))
    net = project.features["net"]
    assert isinstance(net, Classifier)
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


def test_a_small_config_has_the_defaults(home: Path) -> None:
    config = {
        "workspace": "ws",
        "classes": ["a", "b"],
        "images": {"source": "folder", "path": "photos"},
    }
    project = load(write(home, config))
    assert project.features == {}
    assert project.label_model == LabelModel()
    assert project.training is None


CLASSIFIER = {"kind": "classifier", "model": "timm/x"}
SIMILARITY = {"name": "s", "kind": "similarity", "feature": "clip"}
TABLE = {"source": "table", "path": "photos"}

WRONG: dict[str, tuple[Change, list[str]]] = {
    "unknown key at the top": (
        put("class", value=1),
        ["unknown key 'class'", "did you mean 'classes'?"],
    ),
    "unknown key in images": (
        put("images", "pth", value=1),
        [": images: unknown key 'pth'", "did you mean 'path'?"],
    ),
    "unknown key in a split": (
        put("images", "split", value={"trian": 1}),
        [": images.split: unknown key 'trian'", "did you mean 'train'?"],
    ),
    "unknown key in a feature": (
        put("features", "thumbnail", "sise", value=1),
        [": features.thumbnail: unknown key 'sise'", "did you mean 'size'?"],
    ),
    "unknown key in a preprocess": (
        put("features", "net", "preprocess", "crops", value=1),
        [": features.net.preprocess: unknown key 'crops'", "did you mean 'crop'?"],
    ),
    "unknown key in categories": (
        put("features", "net", "categories", value={"fil": "names.txt"}),
        [": features.net.categories: unknown key 'fil'", "did you mean 'file'?"],
    ),
    "unknown key in a labeling function": (
        put("labeling_functions", 0, "vote", value=1),
        [": labeling_functions[0]: unknown key 'vote'", "did you mean 'votes'?"],
    ),
    "unknown key in the label model": (
        put("label_model", "epoch", value=1),
        [": label_model: unknown key 'epoch'", "did you mean 'epochs'?"],
    ),
    "unknown key in training": (
        put("training", "epoch", value=1),
        [": training: unknown key 'epoch'", "did you mean 'epochs'?"],
    ),
    "unknown key in the engine": (
        put("engine", "batchsize", value=1),
        [": engine: unknown key 'batchsize'", "did you mean 'batch_size'?"],
    ),
    "unknown key in s3": (
        put("s3", "endpont", value="x"),
        [": s3: unknown key 'endpont'", "did you mean 'endpoint'?"],
    ),
    "misspelled source": (
        put("images", "source", value="foldr"),
        [": images: unknown source 'foldr'", "did you mean 'folder'?"],
    ),
    "misspelled feature kind": (
        put("features", "net", "kind", value="clasifier"),
        [": features.net: unknown kind 'clasifier'", "did you mean 'classifier'?"],
    ),
    "no kind for a feature of another name": (
        put("features", "mine", value={}),
        [": features.mine: unknown kind", "'classifier', 'clip', 'color', 'thumbnail'"],
    ),
    "misspelled kind of labeling function": (
        put("labeling_functions", 0, "kind", value="colour"),
        [": labeling_functions[0]: unknown kind 'colour'", "did you mean 'color'?"],
    ),
    "no kind of labeling function": (
        drop("labeling_functions", 0, "kind"),
        [": labeling_functions[0]: the key 'kind' is missing"],
    ),
    "missing workspace": (drop("workspace"), [": workspace: this key is missing"]),
    "missing classes": (drop("classes"), [": classes: this key is missing"]),
    "missing path": (drop("images", "path"), [": images.path: this key is missing"]),
    "missing source": (drop("images", "source"), [": images: the key 'source' is missing"]),
    "missing votes": (
        drop("labeling_functions", 0, "votes"),
        [": labeling_functions[0].votes: this key is missing"],
    ),
    "missing third number": (
        put("features", "net", "preprocess", "mean", value=[0.5, 0.5]),
        [": features.net.preprocess.mean[2]: this key is missing"],
    ),
    "text for classes": (
        put("classes", value="jungle"),
        [": classes: ", "valid list", "found 'jungle'"],
    ),
    "number for a path": (
        put("workspace", value=3),
        [": workspace: ", "valid string", "found 3"],
    ),
    "list for images": (put("images", value=[1]), [": images: ", "dictionary", "found [1]"]),
    "number for a feature": (put("features", "net", value=3), [": features.net: ", "found 3"]),
    "list for features": (
        put("features", value=["color"]),
        [": features: expected features by name", "found ['color']"],
    ),
    "one class alone": (put("classes", value=["sea"]), [": classes: ", "at least 2", "['sea']"]),
    "a class twice": (put("classes", value=["a", "a"]), [": classes: a class is named twice"]),
    "unknown class of the images": (
        put("images", "classes", value={"see": "coast"}),
        [": images.classes: unknown class 'see'", "did you mean 'sea'?"],
    ),
    "a folder for two classes": (
        put("images", "classes", value={"sea": ["x", "y"], "jungle": "y"}),
        [": images.classes: 'y' is named twice"],
    ),
    "unknown class of a vote": (
        put("labeling_functions", 0, "votes", "blue", value="see"),
        [": labeling_functions[0] (mean)", "unknown class 'see'", "did you mean 'sea'?"],
    ),
    "unknown class of words": (
        put("labeling_functions", 1, "words", value={"jungel": ["x"]}),
        [": labeling_functions[1] (words)", "unknown class 'jungel'", "did you mean 'jungle'?"],
    ),
    "unknown class of a prompt": (
        put("labeling_functions", 2, "class", value="see"),
        [": labeling_functions[2] (one)", "unknown class 'see'", "did you mean 'sea'?"],
    ),
    "a color that is none": (
        put("labeling_functions", 0, "votes", value={"purple": "sea"}),
        [": labeling_functions[0].votes.purple: ", "'red', 'green' or 'blue'", "found 'purple'"],
    ),
    "misspelled statistic": (
        put("labeling_functions", 0, "statistic", value="median"),
        [": labeling_functions[0].statistic: ", "'mean' or 'pixel'", "found 'median'"],
    ),
    "a feature that is not there": (
        put("labeling_functions", 1, "feature", value="nett"),
        [": labeling_functions[1] (words).feature: ", "named 'nett'", "did you mean 'net'?"],
    ),
    "a feature of another kind": (
        put("labeling_functions", 1, "feature", value="clip"),
        [
            ": labeling_functions[1] (words).feature: ",
            "no classifier feature named 'clip'",
            "'net'",
        ],
    ),
    "a feature without categories": (
        put("features", "net", "top_k", value=0),
        [": labeling_functions[1] (words).feature: 'net' stores no categories"],
    ),
    "a python function of no feature": (
        put("labeling_functions", 4, "features", value=["colr"]),
        [": labeling_functions[4] (mine).features: ", "named 'colr'", "did you mean 'color'?"],
    ),
    "two labeling functions of one name": (
        put("labeling_functions", 1, "name", value="mean"),
        [": labeling_functions: 'mean' is named twice"],
    ),
    "a name that is no column": (
        put("labeling_functions", 0, "name", value="a b"),
        [": labeling_functions[0].name: 'a b' cannot name a column"],
    ),
    "a name of ours": (
        put("labeling_functions", 0, "name", value="truth"),
        [": labeling_functions[0].name: 'truth' cannot name a column"],
    ),
    "two labeling functions for snorkel": (
        put("labeling_functions", value=full()["labeling_functions"][:2]),
        [": label_model: snorkel needs at least 3", "found 2", "kind: majority"],
    ),
    "half a similarity": (
        put("labeling_functions", 2, value=SIMILARITY | {"text": "the sea"}),
        [": labeling_functions[2]: give either text or image, and class; or prompts and margin"],
    ),
    "both forms of similarity": (
        put("labeling_functions", 3, "text", value="the sea"),
        [": labeling_functions[3]: prompts of at least two classes compete"],
    ),
    "a similarity that never votes": (
        drop("labeling_functions", 2, "present_above"),
        [": labeling_functions[2]: give present_above, absent_below or both"],
    ),
    "text and image at once": (
        put("labeling_functions", 6, "text", value="the sea"),
        [": labeling_functions[6]: give either text or image"],
    ),
    "thresholds that cross": (
        put("labeling_functions", 2, "absent_below", value=0.3),
        [": labeling_functions[2]: absent_below 0.3 is more than present_above 0.2"],
    ),
    "quantiles that cross": (
        put("labeling_functions", 6, "absent_below", value={"quantile": 0.95}),
        [": labeling_functions[6]: absent_below 0.95 is more than present_above 0.9"],
    ),
    "a quantile beyond one": (
        put("labeling_functions", 6, "present_above", value={"quantile": 90}),
        [": labeling_functions[6].present_above.quantile: ", "less than or equal to 1", "found 90"],
    ),
    "a misspelled quantile": (
        put("labeling_functions", 6, "present_above", value={"quantil": 0.9}),
        [": labeling_functions[6].present_above: unknown key 'quantil'", "'quantile'"],
    ),
    "a crop inside out": (
        put("labeling_functions", 6, "crop", value=[0.5, 0, 0.2, 1]),
        [": labeling_functions[6]: crop: expected left < right and top < bottom"],
    ),
    "a crop of nothing": (
        put("labeling_functions", 2, "crop", value=[0, 0, 1, 1]),
        [": labeling_functions[2]: crop: there is no image to crop"],
    ),
    "an example that is not there": (
        put("labeling_functions", 6, "image", value="beech.jpg"),
        [": labeling_functions[6] (like).image: there is no file", "did you mean 'beach.jpg'?"],
    ),
    "absence among three classes": (
        three_classes,
        [": labeling_functions[6] (like).absent_below: that 'sea' is absent says which class"],
    ),
    "categories and words": (
        put("labeling_functions", 1, "categories", value={"sea": ["a"]}),
        [": labeling_functions[1]: give either words and word_vectors, or categories"],
    ),
    "words without vectors": (
        drop("labeling_functions", 1, "word_vectors"),
        [": labeling_functions[1]: words and word_vectors go together"],
    ),
    "a category of two classes": (
        put("labeling_functions", 5, "categories", "jungle", value=["b"]),
        [": labeling_functions[5]: categories: 'b' is named twice"],
    ),
    "a pattern that matches nothing": (
        put("labeling_functions", 7, "keywords", value=[]),
        [": labeling_functions[7].keywords: ", "found []"],
    ),
    "an empty keyword": (
        put("labeling_functions", 7, "keywords", value=["beach", " "]),
        [": labeling_functions[7].keywords: a keyword is empty"],
    ),
    "keywords and an expression": (
        put("labeling_functions", 7, "regex", value="b.*"),
        [": labeling_functions[7]: give either keywords or regex"],
    ),
    "an expression that is none": (
        put("labeling_functions", 7, value=PATTERN | {"regex": "(beach"}),
        [": labeling_functions[7].regex: '(beach' is no regular expression of RE2"],
    ),
    "an expression that only others know": (
        put("labeling_functions", 7, value=PATTERN | {"regex": "(?=beach)"}),
        [": labeling_functions[7].regex: '(?=beach)' is no regular expression of RE2"],
    ),
    "truth for a pattern": (
        put("labeling_functions", 7, "column", value="truth"),
        [": labeling_functions[7].column: ", "must not see 'truth'"],
    ),
    "truth for a python function": (
        put("labeling_functions", 4, "metadata", value=["truth"]),
        [": labeling_functions[4].metadata: ", "must not see 'truth'"],
    ),
    "a function without a module": (
        put("labeling_functions", 4, "function", value="vote"),
        [": labeling_functions[4].function: expected 'module:function', found 'vote'"],
    ),
    "a module that is not there": (
        put("labeling_functions", 4, "function", value="no_such_module:vote"),
        [": labeling_functions[4] (mine).function: ", "no module 'no_such_module'"],
    ),
    "a module without a name": (
        put("labeling_functions", 4, "function", value="..x:vote"),
        [": labeling_functions[4] (mine).function: ", "no module '..x'"],
    ),
    "a split of less than all": (
        put("images", "split", value={"train": 0.5, "val": 0.1, "test": 0.1}),
        [": images.split: train + val + test must be 1, found 0.7"],
    ),
    "a negative fraction": (
        put("images", "split", "val", value=-0.25),
        [": images.split.val: ", "greater than or equal to 0", "found -0.25"],
    ),
    "an empty shard": (
        put("images", "shard_size", value=0),
        [": images.shard_size: ", "greater than or equal to 1", "found 0"],
    ),
    "a negative size": (
        put("features", "thumbnail", "size", value=-1),
        [": features.thumbnail.size: ", "greater than or equal to 16", "found -1"],
    ),
    "a negative crop": (
        put("features", "net", "preprocess", "crop", value=-224),
        [": features.net.preprocess.crop: ", "greater than or equal to 1", "found -224"],
    ),
    "no actors": (
        put("engine", "actors", value=0),
        [": engine.actors: ", "greater than or equal to 1", "found 0"],
    ),
    "an endpoint with credentials": (
        put("s3", "endpoint", value=ENDPOINT),
        [": s3.endpoint: ", "must not carry credentials"],
    ),
    "a balance of one class": (
        put("label_model", "class_balance", value=[1.0]),
        [": label_model.class_balance: expected 2 numbers, found 1"],
    ),
    "a balance with a negative share": (
        put("label_model", "class_balance", value=[1.5, -0.5]),
        [": label_model.class_balance: expected shares above 0", "found [1.5, -0.5]"],
    ),
    "a balance that is none": (
        put("label_model", "class_balance", value=[0.5, 0.6]),
        [": label_model.class_balance: expected shares above 0 that add up to 1"],
    ),
    "one GPU and a half": (
        put("engine", "gpus_per_actor", value=1.5),
        [": engine.gpus_per_actor: expected a share of one GPU", "found 1.5"],
    ),
    "a library that is not known": (
        put("features", "net", "model", value="keras/x"),
        [": features.net.model: expected torchvision/NAME or timm/NAME, found 'keras/x'"],
    ),
    "a classifier that stores nothing": (
        put("features", "new", value=CLASSIFIER | {"top_k": 0}),
        [": features.new: top_k: 0 without embedding: true would store nothing"],
    ),
    "weights without preprocess": (
        drop("features", "net", "preprocess"),
        [": features.net: weights from a file need a 'preprocess'"],
    ),
    "weights without categories": (
        drop("features", "net", "categories"),
        [": features.net: weights from a file need 'categories'"],
    ),
    "default weights for a cnn": (
        put("training", value={"network": "cnn", "feature": "thumbnail", "weights": "DEFAULT"}),
        [": training.weights: a cnn has no DEFAULT"],
    ),
    "embeddings to be flipped": (
        put("training", "augment", value={"rotation": 10}),
        [": training.augment: there are no images to change in embeddings"],
    ),
    "a turn of more than half": (
        put("training", "augment", value={"rotation": 360}),
        [": training.augment.rotation: ", "less than or equal to 180", "found 360"],
    ),
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
    "a linear head with weights to start from": (
        put("training", "weights", value="net.pth"),
        [": training.weights: a linear head starts from random numbers"],
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
    "a metadata column of our name": (
        put("images", value=TABLE | {"metadata": ["split"]}),
        [": images.metadata: metadata column 'split' has a name of ours"],
    ),
    "a metadata column twice": (
        put("images", value=TABLE | {"metadata": ["year", "year"]}),
        [": images.metadata: metadata column 'year' is named twice"],
    ),
    "training on a feature without embedding": (
        put("training", "feature", value="color"),
        [": training.feature: 'color' stores no embedding", "'clip', 'net'"],
    ),
    "training a network on what is no thumbnail": (
        put("training", "network", value="timm/x"),
        [": training.feature: ", "no thumbnail feature named 'net'", "'thumbnail'"],
    ),
    "training a network of no library": (
        put("training", "network", value="resnet"),
        [": training.network: expected linear, cnn, torchvision/NAME or timm/NAME, found 'resnet'"],
    ),
    "training on weak labels without votes": (
        drop("labeling_functions"),
        [": training.labels: soft and hard need labeling_functions"],
    ),
    "training on labels twice": (
        put("training", "labels", value=["soft", "soft"]),
        [": training.labels: ", "each once", "found ['soft', 'soft']"],
    ),
    "training on misspelled labels": (
        put("training", "labels", value=["sof"]),
        [": training.labels[0]: ", "'original', 'soft' or 'hard'", "found 'sof'"],
    ),
    "a plateau without validation": (
        put("training", "schedule", value="plateau"),
        [": training: schedule: plateau needs validate_on: truth or weak"],
    ),
    "a plateau of pretraining": (
        put(
            "pretraining",
            value={"method": "rotation", "feature": "thumbnail", "schedule": "plateau"},
        ),
        [": pretraining: schedule: plateau watches validation, and pretraining has none"],
    ),
    "two workers on a GPU": (
        put("training", value=CNN | {"workers": 2, "use_gpu": True, "gpus_per_worker": 0.5}),
        [": training: gpus_per_worker: 0.5 would put two", "write 1, or workers: 1"],
    ),
    "patience without validation": (
        put("training", "patience", value=3),
        [": training: patience: 3 needs validate_on: truth or weak"],
    ),
    "a metric without validation": (
        put("training", "select_by", value="accuracy"),
        [": training: select_by: accuracy needs validate_on"],
    ),
    "consistency of what is not changed": (
        put("training", value=CNN | {"consistency": {}}),
        [": training: consistency: needs augment"],
    ),
    "consistency of mixed images": (
        put("training", value=CNN | {"consistency": {}, "augment": {}, "mixup": 0.2}),
        [": training: consistency: of an image, there is none where images are mixed"],
    ),
    "embeddings to be mixed": (
        put("training", "mixup", value=0.2),
        [": training.mixup: there are no images to change in embeddings"],
    ),
    "no workers": (
        put("training", "workers", value=[2, 1]),
        [": training.workers: ", "[least, most]", "found (2, 1)"],
    ),
    "a variant with an unknown key": (
        put("training", "variants", value={"x": {"labels": "soft", "label_smoothin": 0.1}}),
        [": training: variants.x: unknown key 'label_smoothin'; did you mean 'label_smoothing'?"],
    ),
    "a variant with a wrong value": (
        put("training", "variants", value={"x": {"labels": "soft", "label_smoothing": 1.5}}),
        [": training: variants.x.label_smoothing: Input should be less than 1"],
    ),
    "a variant without its kind of label": (
        put("training", "variants", value={"x": {"label_smoothing": 0.1}}),
        [": training: variants.x.labels: expected one of original, soft, hard, found None"],
    ),
    "a variant named like a label": (
        put("training", "variants", value={"hard": {"labels": "soft"}}),
        [": training: variants.hard: expected a name", "that is no label"],
    ),
    "a variant elsewhere": (
        put("training", "variants", value={"x": {"labels": "soft", "workers": 2}}),
        [": training: variants.x: 'workers' is the same for all networks"],
    ),
    "a variant from a missing checkpoint": (
        put(
            "training",
            value=CNN | {"variants": {"x": {"labels": "soft", "weights": "nett.pth"}}},
        ),
        [": training.variants.x.weights: there is no file", "did you mean 'net.pth'?"],
    ),
    "a start that is not pretrained": (
        put("training", value=CNN | {"weights": "pretrained"}),
        [": training.weights: pretrained needs a section 'pretraining'"],
    ),
    "a start of another network": (
        both(
            put("training", value=CNN | {"network": "timm/x", "weights": "pretrained"}),
            put("pretraining", value={"method": "rotation", "feature": "thumbnail"}),
        ),
        [": training.network: timm/x cannot start from a pretrained cnn"],
    ),
    "a pretrained linear head": (
        put("pretraining", value={"network": "linear", "feature": "net", "augment": {}}),
        [": pretraining: network: a linear head has no body to pretrain"],
    ),
    "contrast without changes": (
        put("pretraining", value={"method": "simclr", "feature": "thumbnail"}),
        [": pretraining: augment: is missing; simclr learns from two augmentations"],
    ),
    "pretraining on no thumbnail": (
        put("pretraining", value={"method": "rotation", "feature": "color"}),
        [": pretraining.feature: there is no thumbnail feature named 'color'"],
    ),
    "rounds of no network": (
        put("self_training", value={"variant": "sofd"}),
        [": self_training.variant: there is no network 'sofd'; did you mean 'soft'?"],
    ),
    "rounds on truth": (
        both(
            put("training", "labels", value=["original", "soft"]),
            put("self_training", value={"variant": "original"}),
        ),
        [": self_training.variant: 'original' learns from truth, not weak labels"],
    ),
    "a comparison with no network": (
        put("comparison", value={"reference": "truth"}),
        [": comparison.reference: there is no network 'truth'; valid: 'soft'"],
    ),
    "a comparison with rounds that are not described": (
        put("comparison", value={"self_training": True}),
        [": comparison.self_training: needs a section 'self_training'"],
    ),
    "one fold": (
        put("comparison", value={"folds": 1}),
        [": comparison.folds: input should be greater than or equal to 2, found 1"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_config_is_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
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


def test_a_secret_is_not_repeated(home: Path) -> None:
    config = full()
    config["s3"]["endpoint"] = ENDPOINT
    with pytest.raises(ConfigError) as caught:
        load(write(home, config))
    assert "secret" not in str(caught.value)


def test_every_problem_has_its_sentence(home: Path) -> None:
    config = full()
    config["workspace"] = 3
    config["engine"]["actors"] = 0
    path = write(home, config)
    with pytest.raises(ConfigError) as caught:
        load(path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path}: workspace: ")
    assert second.startswith(f"{path}: engine.actors: ")


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
def test_text_that_is_no_config_is_refused(home: Path, name: str) -> None:
    text, parts = TEXTS[name]
    path = home / "text.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    for part in (f"{path}: ", *parts):
        assert part in str(caught.value)


def test_bytes_that_are_no_text_are_refused(home: Path) -> None:
    path = home / "bytes.yaml"
    path.write_bytes(b"classes: \xff")
    with pytest.raises(ConfigError, match="no valid YAML"):
        load(path)


def test_a_missing_file_names_its_neighbor(home: Path) -> None:
    write(home, full())
    with pytest.raises(ConfigError, match="did you mean 'project\\.yaml'"):
        load(home / "projekt.yaml")


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from(
        ["", "sea", "color", "net", "clip", "table", "folder", "s3://b/x", "../..", "\0"]
    ),
    st.text(max_size=5),
    st.lists(st.one_of(st.integers(), st.sampled_from(["sea", "soft"])), max_size=3),
    st.dictionaries(
        st.sampled_from(["kind", "sea", "file", "size"]), st.text(max_size=3), max_size=2
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        ["kind", "classes", "feature", "weights", "prompts", "color", "images", "thumbnail"]
    ),
    st.text(string.printable, max_size=4),
    st.integers(-1, 2),
    st.none(),
)


def places(node: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a config, the deepest last."""
    items = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_config_loads_or_is_refused(home: Path, data: st.DataObject) -> None:
    config = copy.deepcopy(full())
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(config)))
        place: Any = config
        for key in path[:-1]:
            place = place[key]
        action = data.draw(st.sampled_from(["set", "drop", "add"]))
        if action == "drop":
            del place[path[-1]]
        elif action == "add" and isinstance(place, dict):
            place[data.draw(KEYS)] = data.draw(VALUES)
        else:
            place[path[-1]] = data.draw(VALUES)
        if not config:
            break
    path_ = write(home, config)
    sentence = f"{path_}: "
    try:
        assert isinstance(load(path_), Project)
    except ConfigError as error:
        sentence = str(error)
    assert sentence.startswith(f"{path_}: ")


@settings(deadline=None, max_examples=150)
@given(text=st.text("abc: -[]{}'\"\n\t#&*!?|>%@`,0123456789.~<=", max_size=40))
def test_any_text_loads_or_is_refused(home: Path, text: str) -> None:
    path = home / "any.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def reorder(value: object) -> object:
    """Write every mapping's keys the other way round."""
    if isinstance(value, dict):
        return {key: reorder(value[key]) for key in reversed(value)}
    return [reorder(item) for item in value] if isinstance(value, list) else value


@given(PLAIN)
def test_a_fingerprint_ignores_the_order_of_keys(value: object) -> None:
    assert fingerprint(value) == fingerprint(reorder(value))


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=4), st.data())
def test_a_fingerprint_sees_every_value(value: dict[str, int], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    assert fingerprint(value) != fingerprint(value | {key: value[key] + 1})
    assert fingerprint(value) != fingerprint({k: v for k, v in value.items() if k != key})


@given(st.lists(st.integers(), min_size=2, max_size=4, unique=True))
def test_a_fingerprint_sees_the_order_of_lists(value: list[int]) -> None:
    assert fingerprint(value) != fingerprint(value[::-1])
    assert fingerprint(*value) != fingerprint(*value[::-1])


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    assert fingerprint({"b": 2, "a": [1, None, "é"]}, "x", 0.1) == "053b431523a6"
    assert fingerprint(LabelModel()) == fingerprint(LabelModel().model_dump())


def test_a_fingerprint_of_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        fingerprint({1, 2})
