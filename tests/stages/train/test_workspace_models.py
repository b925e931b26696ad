"""Networks and checkpoints are files of a workspace; the network's own is the last to appear."""

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import LINEAR, Learnable
from tests.training.test_checkpoints import STATE
from tests.training.toys import a_run
from wslabel.errors import ConfigError
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.stages.train.runs import training_run
from wslabel.stages.train.workspace_models import WorkspaceModels
from wslabel.storage.location import Location
from wslabel.training.events import EpochEvent
from wslabel.training.local import train_here
from wslabel.workspace.networks import CARD, NETWORK
from wslabel.workspace.workspace import Workspace


def test_the_last_checkpoint_stays_until_the_network_is_there(tmp_path: Path) -> None:
    store, run = WorkspaceModels(Location(str(tmp_path))), a_run()
    checkpoints = store.checkpoints(run)
    assert checkpoints.latest() is None
    for epoch in (1, 2, 10):
        checkpoints.keep(epoch, STATE | {"next_epoch": epoch})  # type: ignore[arg-type]
    assert [p.name for p in (tmp_path / run.folder / "checkpoints").iterdir()] == ["00010.pt"]
    latest = checkpoints.latest()
    assert latest is not None
    assert latest["next_epoch"] == 10
    assert torch.equal(latest["network"]["a"], torch.ones(2))
    assert not store.is_done(run)
    store.finish(run, b"network", [{"epoch": 1.0, "loss": 0.5}], 1)
    assert store.is_done(run)
    assert checkpoints.latest() is None


def test_a_network_has_a_card_and_events_and_no_checkpoints_left(trained: Project) -> None:
    workspace = Workspace(trained)
    network = workspace.networks["careful"]
    card = json.loads(workspace.location.read(f"{network.folder}/{CARD}").to_pybytes())
    assert card["labels"] == "soft"
    assert card["training"]["label_smoothing"] == 0.1
    assert [record["epoch"] for record in card["history"]] == [1, 2, 3]
    assert card["metrics"] == card["history"][card["best_epoch"] - 1]
    assert card["metrics"]["validation_roc_auc"] == max(
        record["validation_roc_auc"] for record in card["history"]
    )
    files = [entry.path for entry in workspace.location.files(network.folder, recursive=True)]
    assert files == [CARD, NETWORK, *(f"tensorboard/{e:05d}.tfevents" for e in (1, 2, 3))]


def test_what_is_trained_is_not_trained_again_by_a_group_that_started_anew(
    learnable: Learnable,
) -> None:
    project = learnable.load(name="again", training=LINEAR | {"labels": ["soft", "hard"]})
    workspace, events = Workspace(project), list[EpochEvent]()
    runs = [training_run(workspace, workspace.networks[name]) for name in ("soft", "hard")]
    store = WorkspaceModels(workspace.location)
    train_here(runs[:1], store, lambda event: None)
    train_here(runs, store, events.append)
    assert {event.name for event in events} == {"hard"}


def test_a_tracker_that_is_not_installed_is_refused_with_the_project_file(
    learnable: Learnable, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = learnable.write(name="told", training=LINEAR | {"loggers": ["mlflow"]})
    assert load(file)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"training\.loggers: mlflow is not installed; pip"):
        load(file)
