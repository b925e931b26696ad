"""One pass over the examples: its figures, and what it refuses to call learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.toys import Arrays, a_run, blobs, linear
from wslabel.errors import TrainingError
from wslabel.training.learning import learn, seed_of
from wslabel.training.loop import fit
from wslabel.training.losses import cross_entropy
from wslabel.training.optimizer import Optimizer
from wslabel.training.worker_context import WorkerContext


def test_the_loss_told_is_the_mean_over_images() -> None:
    examples = blobs(40, 16)
    torch.manual_seed(0)
    network = linear()
    run = a_run(train=examples, settings={"learning_rate": 1e-9})
    optimizer = Optimizer(network, run.settings, WorkerContext())
    record = learn(run, network, optimizer, WorkerContext(), 0)
    logits = network(torch.from_numpy(examples.inputs))
    expected = cross_entropy(logits, torch.from_numpy(examples.targets)).mean().item()
    assert record["loss"] == pytest.approx(expected, rel=1e-4)
    assert record["images_per_s"] > 0
    assert 0 <= record["data_wait"] <= 1


def test_images_that_count_nothing_change_nothing() -> None:
    examples = blobs(48, 48)
    wrong = examples.targets[:, ::-1].copy()
    weights = (np.arange(48) < 40).astype(np.float32)
    targets = np.where(weights[:, None] > 0, examples.targets, wrong)
    runs = [
        a_run(train=replace(examples, targets=t, weights=weights))
        for t in (examples.targets, targets)
    ]
    first, second = (fit(run, WorkerContext()).tensors for run in runs)
    assert torch.equal(first["weight"], second["weight"])
    # Of the images that count, the mean is taken: as if the others were not there.
    fewer = a_run(train=Arrays(examples.inputs[:40], examples.targets[:40], 48))
    alone = fit(fewer, WorkerContext()).tensors
    assert torch.allclose(alone["weight"], first["weight"], atol=1e-6)


def test_what_cannot_be_learned_is_refused_and_not_called_trained() -> None:
    nothing = np.zeros(50, np.float32)
    empty = Arrays(np.zeros((0, 3), np.float32), np.zeros((0, 2), np.float32), 8)
    for train in (replace(blobs(50, 16), weights=nothing), empty):
        with pytest.raises(TrainingError, match="toy: there is no image to learn from"):
            fit(a_run(train=train), WorkerContext())


def test_a_network_that_is_not_sure_learns_nothing_and_is_refused() -> None:
    unsure, sure = (
        a_run(settings={"model_confidence_threshold": threshold}) for threshold in (1.0, 0.6)
    )
    with pytest.raises(TrainingError, match=r"model_confidence_threshold: .* nowhere as sure as 1"):
        fit(unsure, WorkerContext())
    assert fit(sure, WorkerContext()).history[0]["loss"] > 0


def test_each_worker_and_pause_has_a_seed_of_its_own_that_torch_takes() -> None:
    seeds = [
        seed_of(seed, epoch, rank, pause)
        for seed in range(3)
        for epoch in range(9)
        for rank in range(4)
        for pause in range(5)
    ]
    assert len(set(seeds)) == len(seeds)
    for seed in seeds:
        torch.manual_seed(seed)
    # Fixed for good, whatever Python's or numpy's version.
    assert seed_of(0, 0, 0) == 15793235383387715774
