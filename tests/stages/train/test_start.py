"""A start that would spoil training is refused before any worker starts."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import CNN, Learnable
from wslabel.errors import WeightsError
from wslabel.networks.modules import Cnn
from wslabel.stages.train.runs import training_run
from wslabel.stages.train.start import check_start
from wslabel.workspace.workspace import Workspace


def check(learnable: Learnable, path: Path, network: torch.nn.Module, **settings: Any) -> None:
    torch.save(network.state_dict(), path)
    own = CNN | {"labels": "soft", "weights": str(path), "seed": 8} | settings
    project = learnable.load(name="start", training=own)
    workspace = Workspace(project)
    run = training_run(workspace, workspace.networks["soft"])
    check_start(run.build, run.settings, project.s3)


def test_a_body_that_does_not_fit_is_named(learnable: Learnable, tmp_path: Path) -> None:
    message = r"no tensor '0.weight' of shape \(32, 3, 3, 3\) for cnn"
    with pytest.raises(WeightsError, match=message):
        check(learnable, tmp_path / "start.pt", Cnn(2, (8, 16)))


def test_folded_normalizations_are_refused_unless_they_stay_frozen(
    learnable: Learnable, tmp_path: Path
) -> None:
    # A network that was never trained has no means either, as one whose means were folded away.
    with pytest.raises(WeightsError, match=r"start.pt: its batch normalizations were folded"):
        check(learnable, tmp_path / "start.pt", Cnn(2))
    check(learnable, tmp_path / "start.pt", Cnn(2), batch_norm="frozen")


def test_a_head_of_other_classes_is_no_hindrance(learnable: Learnable, tmp_path: Path) -> None:
    other = Cnn(5)
    other(torch.randn(4, 3, 16, 16))
    check(learnable, tmp_path / "start.pt", other)
