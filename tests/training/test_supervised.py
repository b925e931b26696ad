"""Learning from labels: mixed images, two views that shall agree, classes judged apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.toys import a_run, a_training, pictures
from wslabel.config.preprocess import Preprocess
from wslabel.networks.factory import BuildOnImages
from wslabel.networks.modules import Cnn
from wslabel.training.batch import Batch
from wslabel.training.loop import fit
from wslabel.training.mixup import Mixup
from wslabel.training.supervised import Supervised
from wslabel.training.worker_context import WorkerContext

ALPHAS = [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}]


def cnn() -> torch.nn.Module:
    return Cnn(2, (4, 8))


BUILD = BuildOnImages(cnn, Preprocess(resize=8, crop=8))


@pytest.mark.parametrize("alphas", ALPHAS, ids=str)
def test_mixed_images_are_learned_from(alphas: dict[str, float]) -> None:
    settings = a_training(network="cnn", epochs=12, **alphas)
    objective = Supervised(settings, Mixup(settings.mixup, settings.cutmix))
    run = replace(a_run(build=BUILD, train=pictures(40, 8)), settings=settings, objective=objective)
    history = fit(replace(run, validate=pictures(30, 30, seed=4)), WorkerContext()).history
    assert history[-1]["validation_accuracy"] > 0.9


def test_a_mixed_part_counts_what_its_image_counts() -> None:
    """The label of an image that counts nothing teaches nothing, mixed with whichever other."""
    losses = []
    for label in (0, 1):
        batch = Batch(
            inputs=pictures(4, 4).inputs,
            targets_NK=np.eye(2, dtype=np.float32)[[0, label, 1, label]],
            weights_N=np.array([1, 0, 1, 0], np.float32),
            total=2.0,
            sizes=(4,),
        )
        settings = a_training(mixup=0.4)
        torch.manual_seed(3)
        network = BUILD().eval()
        objective = Supervised(settings, Mixup(settings.mixup, 0.0))
        losses.append(objective.loss(network, batch, WorkerContext(), 0).item())
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize("kind", ["sum", "kl", "mse"])
def test_two_views_are_learned_from(kind: str) -> None:
    train = pictures(40, 8)
    noise = np.random.default_rng(5).integers(0, 20, train.inputs.shape)
    other = (train.inputs.astype(int) + noise).clip(0, 255).astype(np.uint8)
    settings = {"network": "cnn", "epochs": 10, "augment": {}, "consistency": {"kind": kind}}
    run = a_run(build=BUILD, train=replace(train, other=other), settings=settings)
    history = fit(replace(run, validate=pictures(30, 30, seed=4)), WorkerContext()).history
    assert history[-1]["validation_accuracy"] > 0.9


def test_what_differs_between_two_views_is_punished_even_without_labels() -> None:
    train = pictures(24, 24)
    nothing = np.zeros(24, np.float32)
    settings = {"network": "cnn", "augment": {}, "epochs": 1}
    consistency = {"kind": "mse", "weight": 100.0, "unlabeled": True}
    bright = replace(train, weights=nothing, other=255 - train.inputs)
    run = a_run(build=BUILD, train=bright, settings=settings | {"consistency": consistency})
    assert fit(run, WorkerContext()).tensors["network.11.weight"].isfinite().all()
    objective, network = run.objective, BUILD().eval()  # without dropout
    (batch,) = bright(0, 0, 1)
    apart = objective.loss(network, batch, WorkerContext(), 0).item()
    same = objective.loss(network, replace(batch, other=batch.inputs), WorkerContext(), 0).item()
    deaf = a_training(**settings, consistency=consistency | {"unlabeled": False})
    assert apart > 0
    assert same == pytest.approx(0, abs=1e-9)
    assert Supervised(deaf).loss(network, batch, WorkerContext(), 0).item() == 0


def test_answers_of_classes_judged_apart_are_shares() -> None:
    objective = Supervised(a_training(network="cnn", loss="binary_cross_entropy"))
    (batch,) = pictures(6, 6)(0, 0, 1)
    _, probs_NK = objective.answers(BUILD().eval(), batch, WorkerContext())
    assert torch.allclose(probs_NK.sum(dim=1), torch.ones(6), atol=1e-5)
