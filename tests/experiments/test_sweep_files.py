"""Trials come back from their files as they were; what no sweep wrote there is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from wslabel.config.sweep import Sweep
from wslabel.errors import StorageError
from wslabel.experiments.sweep_files import SweepFiles
from wslabel.storage.location import Location
from wslabel.training.draws import draw
from wslabel.training.tuner import TrialResult

KEY = "training.label_smoothing"
RESULT = TrialResult(values={KEY: 0.1}, network="models/x", scores=(0.25, 0.5))


@pytest.fixture
def files(tmp_path: Path) -> SweepFiles:
    search = {KEY: {"uniform": [0.0, 0.5]}, "training.labels": {"choice": ["soft", ["hard"]]}}
    sweep = Sweep.model_validate({"project": "p.yaml", "search": search, "method": "random"})
    return SweepFiles(Location(str(tmp_path)), "sweeps/0123", sweep)


def test_the_first_values_and_the_first_result_stay(files: SweepFiles) -> None:
    first, second = (draw(files.sweep, number, []) for number in (0, 1))
    assert files.values(3, lambda: first) == first
    assert files.values(3, lambda: second) == first
    assert files.result(3) is None
    kept = TrialResult(values=first, network="models/x", scores=(0.1, 1 / 3))
    files.keep(3, kept)
    files.keep(3, TrialResult(values=first, network="models/y", scores=(0.2,)))
    assert files.result(3) == kept


@pytest.mark.parametrize(
    "planted",
    [
        {KEY: 0.1},
        {KEY: 0.1, "training.labels": "soft", "workspace": "/tmp"},
        {KEY: 0.1, "labeling_functions.x.function": "/tmp/evil.py:run"},
        {KEY: 0.7, "training.labels": "soft"},
        {KEY: "0.1", "training.labels": "soft"},
        {KEY: 0.1, "training.labels": "original"},
        [],
        None,
    ],
    ids=str,
)
def test_planted_values_are_refused(files: SweepFiles, tmp_path: Path, planted: Any) -> None:
    """They name keys of a project, and with them files and code."""
    for folder, content in (("values", planted), ("results", {"values": planted, "scores": [1]})):
        file = tmp_path / "sweeps" / "0123" / folder / "00002.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content))
    expected = r"00002\.json: is not as wslabel writes it, so others did .*; remove it"
    with pytest.raises(StorageError, match=f"values/{expected}"):
        files.values(2, dict)
    with pytest.raises(StorageError, match=f"results/{expected}"):
        files.result(2)
