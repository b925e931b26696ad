"""Networks and checkpoints are files of a workspace; the network's own is the last to appear."""

import json
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import torch

from tests.conftest import LINEAR, Learnable, S3Server
from tests.training.test_checkpoints import STATE
from tests.training.toys import a_run
from wslabel.config.base import S3
from wslabel.errors import ConfigError, TrainingError
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.stages.train.runs import training_run
from wslabel.stages.train.workspace_models import WorkspaceCheckpoints, WorkspaceModels
from wslabel.storage.location import Location
from wslabel.training.checkpoints import Position, State, unpack
from wslabel.training.events import EpochEvent
from wslabel.training.local import train_here
from wslabel.workspace.networks import CARD, NETWORK
from wslabel.workspace.workspace import Workspace


def state_at(epoch: int) -> State:
    return STATE | {"next_epoch": epoch}  # type: ignore[return-value, typeddict-item]


def names_in(checkpoints: WorkspaceCheckpoints) -> list[str]:
    return [entry.path for entry in checkpoints.location.files(checkpoints.folder)]


def newest(checkpoints: WorkspaceCheckpoints) -> State | None:
    data = checkpoints.latest()
    return None if data is None else unpack(data)


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> WorkspaceModels:
    """An empty store on a disk and on an S3 server."""
    if request.param == "disk":
        return WorkspaceModels(Location(str(tmp_path)))
    server: S3Server = request.getfixturevalue("s3_server")
    s3 = S3(endpoint=server.endpoint)
    return WorkspaceModels(Location(f"s3://{server.bucket}/{uuid4().hex}", s3))


def test_the_last_checkpoint_stays_until_the_network_is_there(store: WorkspaceModels) -> None:
    run = a_run()
    checkpoints = store.checkpoints(run)
    assert checkpoints.latest() is None
    for place in ((1, 0), (1, 90), (1, 1000), (2, 0), (10, 8)):
        checkpoints.keep(Position(*place), state_at(place[0]))
    assert names_in(checkpoints) == ["00010-000000008.pt"]
    latest = newest(checkpoints)
    assert latest is not None
    assert latest["next_epoch"] == 10
    assert torch.equal(latest["network"]["a"], torch.ones(2))
    assert not store.is_done(run)
    store.finish(run, b"network", [{"epoch": 1.0, "loss": 0.5}], 1)
    assert store.is_done(run)
    assert checkpoints.latest() is None


def test_a_driver_that_is_behind_removes_nothing(store: WorkspaceModels) -> None:
    ahead, behind = (store.checkpoints(a_run()) for _ in range(2))
    ahead.keep(Position(10, 0), state_at(10))
    for place in ((3, 0), (3, 8), (10, 0)):
        behind.keep(Position(*place), state_at(99))
        latest = newest(ahead)
        assert latest is not None
        assert latest["next_epoch"] == 10
    assert names_in(ahead) == ["00010-000000000.pt"]


def test_a_checkpoint_that_another_driver_forgets_is_not_waited_for(
    store: WorkspaceModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing and the reading the other driver comes farther, or to its end."""
    own, other = (store.checkpoints(a_run()) for _ in range(2))
    other.keep(Position(1, 0), state_at(1))
    names, steps = WorkspaceCheckpoints._names, [1, 2, 3]

    def listing(self: WorkspaceCheckpoints) -> list[str]:
        found = names(self)
        if self is own and steps:
            other.keep(Position(2, steps.pop(0)), state_at(2))
        return found

    monkeypatch.setattr(WorkspaceCheckpoints, "_names", listing)
    latest = newest(own)
    assert latest is not None
    assert (latest["next_epoch"], steps) == (2, [])

    def forgetting(self: WorkspaceCheckpoints) -> list[str]:
        found = names(self)
        if self is own:
            other.forget()
        return found

    monkeypatch.setattr(WorkspaceCheckpoints, "_names", forgetting)
    assert own.latest() is None


def test_what_storage_refuses_for_good_is_told_in_a_sentence(tmp_path: Path) -> None:
    store, run = WorkspaceModels(Location(str(tmp_path))), a_run()
    (tmp_path / run.folder).mkdir(parents=True)
    (tmp_path / run.folder / "checkpoints").write_text("a file where a folder should be")
    for action in (
        lambda: store.checkpoints(run).latest(),
        lambda: store.checkpoints(run).keep(Position(1, 0), state_at(1)),
    ):
        with pytest.raises(TrainingError, match=r"toy: its files cannot be kept: .*checkpoints"):
            action()


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
