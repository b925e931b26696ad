"""Objectives that need no label: they teach a body, and count what they should."""

import numpy as np
import pytest
import torch

from tests.training.toys import Arrays, a_training
from wslabel.config.preprocess import Preprocess
from wslabel.networks.factory import BuildOnImages
from wslabel.networks.modules import Cnn
from wslabel.training.loop import fit
from wslabel.training.objectives import Objective
from wslabel.training.run import Run
from wslabel.training.self_supervised import QUARTERS, Rotation, SimClr
from wslabel.training.worker_context import WorkerContext


@pytest.mark.parametrize("objective", [Rotation(), SimClr(0.5)], ids=["rotation", "simclr"])
def test_images_alone_teach_a_body(objective: Objective) -> None:
    # Bright above, dark below: a turn can be told, and so can one image from another.
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (32, 8, 8, 3))
    images[:, :4] += 150
    images += rng.integers(-40, 40, (32, 1, 1, 3))
    first = images.clip(0, 255).astype(np.uint8)
    other = (images + rng.integers(-10, 10, images.shape)).clip(0, 255).astype(np.uint8)
    run = Run(
        name="body",
        folder="models/body",
        build=BuildOnImages(lambda: Cnn(4, (4, 8)), Preprocess(resize=8, crop=8)),
        settings=a_training(network="cnn", epochs=12, learning_rate=0.01),
        objective=objective,
        train=Arrays(first, np.zeros((32, 0), np.float32), 16, other=other),
    )
    history = fit(run, WorkerContext()).history
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]


class TellsTurns(torch.nn.Module):
    """Knows where the bright side of an image is."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        gray = images.float().mean(dim=3)
        sides = [gray[:, 0], gray[:, :, 0], gray[:, -1], gray[:, :, -1]]
        return torch.stack([side.mean(dim=1) for side in sides], dim=1)


def test_turns_that_are_told_are_counted() -> None:
    images = np.zeros((3, 8, 8, 3), np.uint8)
    images[:, 0] = 255  # the upper side is bright
    (batch,) = Arrays(images, np.zeros((3, 0), np.float32), 3)(0, 0, 1)
    losses_N, told_NQ = Rotation().answers(TellsTurns(), batch, WorkerContext())
    assert losses_N.shape == (3,)
    assert told_NQ.shape == (3, QUARTERS)
    assert Rotation().metrics(told_NQ.numpy(), batch.targets_NK) == {"accuracy": 1.0}
    assert Rotation().metrics(np.zeros((0, 1)), batch.targets_NK) == {"accuracy": 0.0}
