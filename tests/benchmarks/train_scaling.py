"""Two one-thread workers over one, at equal total batch, as Ray Train runs them.

EfficientNet-B0 at 224 px from thumbnails. Rates are of whole epochs after the first, without the
start of processes; one and two workers are run in turns. `data_wait` is the share of an epoch in
which two workers wait for their data.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.training import FINE, project
from wslabel.engine.execute import disconnect
from wslabel.project.project import Project
from wslabel.stages.train import train
from wslabel.workspace.networks import CARD
from wslabel.workspace.workspace import Workspace

COUNT, TURNS, EPOCHS = 192, 2, 3


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        training = {
            "network": "torchvision/efficientnet_b0",
            "preprocess": FINE,
            "epochs": EPOCHS,
            "batch_size": 32,
        }
        made = project(Path(name), COUNT, training)
        for turn in range(TURNS):
            for workers in (1, 2):
                found[workers] += _history(made, {"workers": workers, "seed": turn})
        disconnect()
    rates = {workers: _mean(records, "images_per_s") for workers, records in found.items()}
    wait = _mean(found[2], "data_wait")
    detail = {
        "images_per_s": rates,
        "data_wait": wait,
        "data_wait_alone": _mean(found[1], "data_wait"),
    }
    return {"value": rates[2] / rates[1], "unit": "ratio", "detail": detail}


def _history(made: Project, changes: dict[str, int]) -> list[dict[str, float]]:
    assert made.training is not None
    own = made.training.model_copy(update=changes)
    workspace = Workspace(made.model_copy(update={"training": own}))
    network = workspace.networks["original"]
    location = workspace.location
    if location.exists(network.file):  # of the other number of workers: the same network
        for entry in location.files(network.folder, recursive=True):
            location.delete(f"{network.folder}/{entry.path}")
    train.run(workspace)
    card = json.loads(location.read(f"{network.folder}/{CARD}").to_pybytes())
    return list(card["history"][1:])


def _mean(records: list[dict[str, float]], key: str) -> float:
    return sum(record[key] for record in records) / len(records)
