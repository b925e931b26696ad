"""Impossible experiments are refused."""

from pathlib import Path

import pytest

from tests.projects import Change, assert_refused, put

WRONG: dict[str, tuple[Change, list[str]]] = {
    "one fold": (
        put("comparison", value={"folds": 1}),
        [": comparison.folds: input should be greater than or equal to 2, found 1"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
