"""Impossible training is refused."""

from pathlib import Path

import pytest

from tests.projects import CNN, Change, assert_refused, put

WRONG: dict[str, tuple[Change, list[str]]] = {
    "a turn of more than half": (
        put("training", "augment", value={"rotation": 360}),
        [": training.augment.rotation: ", "less than or equal to 180", "found 360"],
    ),
    "training a network of no library": (
        put("training", "network", value="resnet"),
        [": training.network: expected linear, cnn, torchvision/NAME or timm/NAME, found 'resnet'"],
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
    "a pretrained linear head": (
        put("pretraining", value={"network": "linear", "feature": "net", "augment": {}}),
        [": pretraining: network: a linear head has no body to pretrain"],
    ),
    "contrast without changes": (
        put("pretraining", value={"method": "simclr", "feature": "thumbnail"}),
        [": pretraining: augment: is missing; simclr learns from two augmentations"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
