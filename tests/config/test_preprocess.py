"""Impossible inputs of networks are refused."""

from pathlib import Path

import pytest

from tests.projects import Change, assert_refused, put

WRONG: dict[str, tuple[Change, list[str]]] = {
    "a negative crop": (
        put("features", "net", "preprocess", "crop", value=-224),
        [": features.net.preprocess.crop: ", "greater than or equal to 1", "found -224"],
    ),
    "a filter that is none": (
        put("features", "net", "preprocess", "interpolation", value="nearest"),
        [": features.net.preprocess.interpolation: ", "'bilinear' or 'bicubic'", "'nearest'"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
