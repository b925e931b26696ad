"""The learning rate follows its schedule, and what was kept goes on."""

import numpy as np
import pytest
import torch

from tests.training.toys import a_training, linear
from wslabel.config.optimization import Optimization
from wslabel.training.optimizer import PLATEAU_EPOCHS, Optimizer
from wslabel.training.worker_context import WorkerContext


def rates(settings: Optimization, losses: list[float | None]) -> list[float]:
    """Give the learning rate of each epoch, with what validation says after it."""
    optimizer = Optimizer(linear(), settings, WorkerContext())
    found = []
    for loss in losses:
        optimizer.start_step()
        optimizer.finish_step(torch.zeros(1, requires_grad=True).sum())
        found.append(optimizer.learning_rate)
        optimizer.end_epoch(loss)
    return found


def test_rates_warm_up_and_fall_along_a_cosine() -> None:
    settings = a_training(epochs=6, warmup_epochs=2, learning_rate=1.0)
    expected = [1 / 3, 2 / 3, 1.0, *(0.5 * (1 + np.cos(np.pi * e / 4)) for e in (1, 2, 3))]
    assert rates(settings, [None] * 6) == pytest.approx(expected)


def test_a_constant_rate_warms_up_and_stays() -> None:
    settings = a_training(epochs=4, warmup_epochs=1, learning_rate=1.0, schedule="constant")
    assert rates(settings, [None] * 4) == pytest.approx([0.5, 1.0, 1.0, 1.0])


def test_a_plateau_lowers_the_learning_rate() -> None:
    settings = a_training(schedule="plateau", validate_on="weak", learning_rate=0.1)
    found = rates(settings, [1.0] * (PLATEAU_EPOCHS + 3))
    assert found[0] == pytest.approx(0.1)
    assert found[-1] == pytest.approx(0.01)
    assert rates(settings, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5])[-1] == pytest.approx(0.1)


def test_a_body_may_learn_at_a_rate_of_its_own() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    before = [p.detach().clone() for p in network.parameters()]
    settings = a_training(learning_rate=0.1, weight_decay=0.0)
    optimizer = Optimizer(network, settings, WorkerContext(), body_learning_rate=0.0)
    optimizer.start_step()
    optimizer.finish_step(network(torch.ones(1, 3)).square().sum())
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert moved == [False, False, True, True]
    assert optimizer.learning_rate == 0.1


def test_what_was_kept_goes_on() -> None:
    settings = a_training(epochs=6, learning_rate=1.0)
    first, second = (Optimizer(linear(), settings, WorkerContext()) for _ in range(2))
    for _ in range(3):
        first.start_step()
        first.finish_step(torch.zeros(1, requires_grad=True).sum())
        first.end_epoch(None)
    second.load(first.state())
    assert second.learning_rate == first.learning_rate != 1.0
