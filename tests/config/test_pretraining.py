"""Impossible pretraining is refused."""

from pathlib import Path

import pytest

from tests.projects import Change, assert_refused, put

WRONG: dict[str, tuple[Change, list[str]]] = {
    "a plateau of pretraining": (
        put(
            "pretraining",
            value={"method": "rotation", "feature": "thumbnail", "schedule": "plateau"},
        ),
        [": pretraining: schedule: plateau watches validation, and pretraining has none"],
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
