"""Impossible pools are refused before anything starts."""

from pathlib import Path

import pytest

from tests.projects import Change, assert_refused, put

WRONG: dict[str, tuple[Change, list[str]]] = {
    "no actors": (
        put("engine", "actors", value=0),
        [": engine.actors: ", "greater than or equal to 1", "found 0"],
    ),
    "somebody's cluster": (
        put("engine", "address", value="ray://somebody.example:10001"),
        [": engine: address: a project file names no cluster", "set RAY_ADDRESS", "--address"],
    ),
    "one GPU and a half": (
        put("engine", "gpus_per_actor", value=1.5),
        [": engine.gpus_per_actor: expected a share of one GPU", "found 1.5"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
