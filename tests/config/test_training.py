"""Impossible training is refused."""

from pathlib import Path

import pytest

from tests.projects import CNN, Change, assert_refused, put

WRONG: dict[str, tuple[Change, list[str]]] = {
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
        [": training: variants.hard: expected a name that is no kind of label"],
    ),
    "a variant elsewhere": (
        put("training", "variants", value={"x": {"labels": "soft", "workers": 2}}),
        [": training: variants.x: 'workers' is the same for all networks"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
