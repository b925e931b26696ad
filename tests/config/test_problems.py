"""What is wrong in a project file is a sentence: file, key, what was found, the nearest choice."""

from pathlib import Path

import pytest

from tests.projects import Change, assert_refused, drop, full, put, write
from wslabel.errors import ConfigError
from wslabel.project.loading import load

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
        [": labeling_functions[0] (mean): unknown key 'vote'", "did you mean 'votes'?"],
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
        [": labeling_functions[0] (mean): unknown kind 'colour'", "did you mean 'color'?"],
    ),
    "no kind of labeling function": (
        drop("labeling_functions", 0, "kind"),
        [": labeling_functions[0] (mean): the key 'kind' is missing"],
    ),
    "missing workspace": (drop("workspace"), [": workspace: this key is missing"]),
    "missing classes": (drop("classes"), [": classes: this key is missing"]),
    "missing path": (drop("images", "path"), [": images.path: this key is missing"]),
    "missing source": (drop("images", "source"), [": images: the key 'source' is missing"]),
    "missing votes": (
        drop("labeling_functions", 0, "votes"),
        [": labeling_functions[0] (mean).votes: this key is missing"],
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
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)


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


def test_a_sentence_stays_whole_whatever_it_quotes(home: Path) -> None:
    path = write(home, full() | {"clas\n\x1b[2Jses": 1})
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: unknown key 'clas\\n\\x1b[2Jses'")
    assert str(caught.value).isprintable()
