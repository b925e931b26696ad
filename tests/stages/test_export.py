"""What is exported says what the network says, in other programs."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.conftest import CNN, Learnable
from wslabel.columns import to_array
from wslabel.errors import ConfigError
from wslabel.examples.inputs import inputs_of
from wslabel.project.project import Project
from wslabel.stages.export import export
from wslabel.stages.predict import predict
from wslabel.stages.train.runs import training_run
from wslabel.stages.train.workspace_models import WorkspaceModels
from wslabel.training.local import train_here
from wslabel.workspace.networks import CARD, NETWORK
from wslabel.workspace.workspace import Workspace


@pytest.mark.parametrize("name", ["each", "soft"])
def test_onnx_says_what_the_network_says(trained: Project, tmp_path: Path, name: str) -> None:
    workspace = Workspace(trained)
    network = workspace.networks[name]
    files = export(workspace, network, tmp_path / "net")
    assert [Path(file).name for file in files] == [NETWORK, CARD, "network.onnx"]
    session = onnxruntime.InferenceSession(files[2])
    inputs, _ = inputs_of(workspace, network.settings).read(0, 0)
    found = session.run(["probabilities"], {"inputs": inputs})[0]
    table = workspace.predictions(network)
    expected = to_array(table.table.read(table.items[0].name).column("probabilities"))
    assert np.allclose(found, expected[: len(inputs)], atol=1e-5)


def test_onnx_of_images(learnable: Learnable) -> None:
    workspace = Workspace(learnable.load(name="exported", training=CNN | {"labels": "soft"}))
    network = workspace.networks["soft"]
    run = training_run(workspace, network)
    train_here([run], WorkspaceModels(workspace.location), lambda event: None)
    predict.run(workspace)
    session = onnxruntime.InferenceSession(export(workspace, network)[2])
    values, _ = inputs_of(workspace, network.settings).read(0, 0)
    table = workspace.predictions(network)
    expected = to_array(table.table.read(table.items[0].name).column("probabilities"))
    found = session.run(None, {"inputs": values[:5]})[0]
    assert np.allclose(found, expected[:5], atol=1e-4)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_onnx_it_is_refused_before_any_work(
    trained: Project, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    workspace = Workspace(trained)
    with pytest.raises(
        ConfigError, match=rf"^{package} is not installed; pip install 'wslabel\[on"
    ):
        export(workspace, workspace.networks["soft"])
