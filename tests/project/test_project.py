"""Sections of a project must fit together."""

from pathlib import Path

import pytest

from tests.projects import CNN, TABLE, Change, assert_refused, both, drop, full, put

WRONG: dict[str, tuple[Change, list[str]]] = {
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
    "a metadata column that would be taken for a feature's": (
        put("images", value=TABLE | {"metadata": ["exif.make", "color.mean_red"]}),
        [": images.metadata: 'color.mean_red' would be taken for a column of the feature 'color'"],
    ),
    "a feature that would lie outside the workspace": (
        put("features", "../../x", value={"kind": "color"}),
        [": features: '../../x' cannot name a folder; use letters", "as in 'x'"],
    ),
    "a network of two words": (
        put("training", "variants", value={"very soft": {"labels": "soft"}}),
        [": training.variants: 'very soft' cannot name a network", "as in 'very_soft'"],
    ),
    "two labeling functions of one name": (
        put("labeling_functions", 1, "name", value="mean"),
        [": labeling_functions: 'mean' is named twice"],
    ),
    "two labeling functions for snorkel": (
        put("labeling_functions", value=full()["labeling_functions"][:2]),
        [": label_model: snorkel needs at least 3", "found 2", "kind: majority"],
    ),
    "default weights for a cnn": (
        put("training", value={"network": "cnn", "feature": "thumbnail", "weights": "DEFAULT"}),
        [": training.weights: a cnn has no DEFAULT"],
    ),
    "embeddings to be flipped": (
        put("training", "augment", value={"rotation": 10}),
        [": training.augment: there are no images to change in embeddings"],
    ),
    "a linear head with weights to start from": (
        put("training", "weights", value="net.pth"),
        [": training.weights: a linear head starts from random numbers"],
    ),
    "training on a feature without embedding": (
        put("training", "feature", value="color"),
        [": training.feature: 'color' stores no embedding", "'clip', 'net'"],
    ),
    "training a network on what is no thumbnail": (
        put("training", "network", value="timm/x"),
        [": training.feature: ", "no thumbnail feature named 'net'", "'thumbnail'"],
    ),
    "training on weak labels without votes": (
        drop("labeling_functions"),
        [": training.labels: soft and hard need labeling_functions"],
    ),
    "embeddings to be mixed": (
        put("training", "mixup", value=0.2),
        [": training.mixup: there are no images to change in embeddings"],
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
    "a balance of one class": (
        put("label_model", "class_balance", value=[1.0]),
        [": label_model.class_balance: expected 2 numbers, found 1"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
