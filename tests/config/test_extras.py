"""An extra that is absent is named in the sentence that refuses it."""

import importlib.util
import sys
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from wslabel.config.extras import EXTRAS, absence


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_named_with_the_package_that_is_missing(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in EXTRAS[extra]:  # as far as they are installed here
        if importlib.util.find_spec(package) is None:
            monkeypatch.setitem(sys.modules, package, ModuleType(package))
            sys.modules[package].__spec__ = ModuleSpec(package, None)
    assert absence(extra) is None
    for package in EXTRAS[extra]:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            assert absence(extra) == f"{package} is not installed; pip install 'wslabel[{extra}]'"


def test_every_extra_can_be_installed_under_its_name() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) <= set(project["optional-dependencies"])
