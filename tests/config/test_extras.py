"""An extra that is absent is named in the sentence that refuses it."""

import sys
import tomllib
from pathlib import Path

import pytest

from wslabel.config.extras import EXTRAS, absence


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_named_with_the_package_that_is_missing(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert absence(extra) is None
    for package in EXTRAS[extra]:
        monkeypatch.setitem(sys.modules, package, None)
        assert absence(extra) == f"{package} is not installed; pip install 'wslabel[{extra}]'"
        monkeypatch.delitem(sys.modules, package)


def test_every_extra_can_be_installed_under_its_name() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) <= set(project["optional-dependencies"])
