"""A body learns from images alone, training starts from it, and a probe says what it is worth."""

import json

import numpy as np
import pytest
import safetensors.numpy

from tests.conftest import CNN, Learnable
from wslabel.errors import WorkLeft
from wslabel.networks.modules import head
from wslabel.project.project import Project
from wslabel.stages.train import pretrain, train
from wslabel.stages.train.runs import pretraining_run, training_run
from wslabel.stages.train.workspace_models import WorkspaceModels
from wslabel.training.local import train_here
from wslabel.workspace.workspace import Workspace

STRONG = {"crop": 0.5, "brightness": 0.4, "hue": 0.1}


def pretrain_here(project: Project) -> None:
    """Pretrain in this process, which spares the start of workers."""
    workspace = Workspace(project)
    assert project.pretraining is not None
    run = pretraining_run(workspace, project.pretraining)
    train_here([run], WorkspaceModels(workspace.location), lambda event: None)


def test_training_starts_from_the_pretrained_body(learnable: Learnable) -> None:
    pretraining = CNN | {"method": "simclr", "augment": STRONG, "probe": "truth"}
    training = CNN | {"labels": "soft", "weights": "pretrained", "freeze_epochs": 1}
    project = learnable.load(name="pretrained", pretraining=pretraining, training=training)
    with pytest.raises(WorkLeft, match="run the stage pretrain first"):
        train.run(Workspace(project))
    pretrain_here(project)
    result = pretrain.run(Workspace(project))
    assert (result.made, result.total) == (0, 1)
    assert result.probe is not None
    assert set(result.probe) == {"pretrained", "random", "num_train", "num_test"}
    workspace = Workspace(project)
    body = workspace.location.read(workspace.pretrained_file).to_pybytes()
    learned = safetensors.numpy.load(body)
    run = training_run(workspace, workspace.networks["soft"])
    network = run.build()
    last, own = head(network), network.state_dict()
    arrived = [name for name in own if not name.startswith(f"{last}.")]
    assert len(arrived) > 10
    for name in arrived:
        assert np.array_equal(own[name].numpy(), learned[name]), name
    assert own[f"{last}.weight"].shape == (2, 128)
    train_here([run], WorkspaceModels(workspace.location), lambda event: None)
    assert train.run(Workspace(project)).made == 0


def test_rotation_teaches_a_body_too(learnable: Learnable) -> None:
    pretraining = CNN | {"method": "rotation", "probe": "weak", "splits": ["train", "val"]}
    project = learnable.load(name="rotation", pretraining=pretraining, training=None)
    pretrain_here(project)
    probe = pretrain.run(Workspace(project)).probe
    assert probe is not None
    assert probe["num_train"] == 42
    workspace = Workspace(project)
    card = workspace.location.read(f"{workspace.pretrained}/card.json").to_pybytes()
    assert [record["epoch"] for record in json.loads(card)["history"]] == [1, 2]


def test_a_project_without_pretraining_has_nothing_to_do(learnable: Learnable) -> None:
    result = pretrain.run(Workspace(learnable.load(name="none")))
    assert (result.made, result.total, result.probe) == (0, 0, None)
