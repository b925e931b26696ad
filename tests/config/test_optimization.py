"""Impossible steps and workers are refused."""

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
    "two workers on a GPU": (
        put("training", value=CNN | {"workers": 2, "use_gpu": True, "gpus_per_worker": 0.5}),
        [": training: gpus_per_worker: 0.5 would put two", "write 1, or workers: 1"],
    ),
    "no workers": (
        put("training", "workers", value=[2, 1]),
        [": training.workers: ", "[least, most]", "found (2, 1)"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
