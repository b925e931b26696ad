"""Training on soft targets: seeded to the bit, the best epoch chosen, going on where it stopped."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.toys import Arrays, a_run, a_training, blobs, linear, pictures
from wslabel.errors import TrainingError
from wslabel.settings import Preprocess
from wslabel.training.batch import Batch
from wslabel.training.board import Record
from wslabel.training.group import Place
from wslabel.training.loop import Run, fit
from wslabel.training.losses import cross_entropy
from wslabel.training.mixing import Mixing
from wslabel.training.networks import Cnn, MakeOnImages
from wslabel.training.objectives import Rotation, SimClr, Supervised
from wslabel.training.records import pack, unpack

HOW = Preprocess(resize=8, crop=8)


def losses_of(history: list[Record], name: str = "loss") -> list[float]:
    return [record[name] for record in history]


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    return fit(run, Place()).tensors


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = fit(a_run(), Place()), fit(a_run(), Place())
    other = fit(a_run(how={"seed": 12}), Place())
    assert all(torch.equal(first.tensors[k], second.tensors[k]) for k in first.tensors)
    assert losses_of(first.history) == losses_of(second.history)
    assert not torch.equal(first.tensors["weight"], other.tensors["weight"])


def test_a_run_starts_afresh_whatever_ran_before() -> None:
    torch.manual_seed(99)
    first = weights_of(a_run())
    fit(a_run(how={"seed": 5, "epochs": 1}), Place())
    assert torch.equal(weights_of(a_run())["weight"], first["weight"])


def loss_of(tensors: dict[str, torch.Tensor], examples: Arrays) -> float:
    network = linear()
    network.load_state_dict(tensors)
    with torch.no_grad():
        logits = network(torch.from_numpy(examples.inputs))
        return cross_entropy(logits, torch.from_numpy(examples.targets)).mean().item()


def overfitting(**how: Any) -> Run:
    """Little noisy data to learn from: at some point more of it makes the rest worse."""
    rng = np.random.default_rng(4)
    hard = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 12)]
    train = Arrays(blobs(12, 4).inputs, hard, 4)
    settings = {"epochs": 12, "learning_rate": 0.1, "validate_on": "weak"} | how
    return a_run(train=train, validate=blobs(60, 16, seed=9), how=settings)


def test_validation_picks_the_best_epoch() -> None:
    run = overfitting()
    fitted = fit(run, Place())
    losses = losses_of(fitted.history, "validation_loss")
    assert len(losses) == 12
    assert min(losses) < losses[-1]
    assert fitted.best_epoch == 1 + int(np.argmin(losses))
    assert loss_of(fitted.tensors, blobs(60, 16, seed=9)) == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "roc_auc"])
def test_a_metric_picks_the_first_epoch_that_is_best(metric: str) -> None:
    fitted = fit(overfitting(select_by=metric), Place())
    values = losses_of(fitted.history, f"validation_{metric}")
    assert fitted.best_epoch == 1 + int(np.argmax(values))


def test_training_stops_when_validation_has_long_got_no_better() -> None:
    whole = fit(overfitting(epochs=40), Place())
    stopped = fit(overfitting(epochs=40, patience=2), Place())
    best = stopped.best_epoch
    assert len(stopped.history) == best + 2 < 40
    # Along the same cosine: stopping early does not change the way there.
    assert losses_of(stopped.history) == losses_of(whole.history)[: best + 2]


def test_a_plateau_lowers_the_learning_rate() -> None:
    fitted = fit(overfitting(epochs=30, schedule="plateau"), Place())
    rates = losses_of(fitted.history, "learning_rate")
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] <= 0.1 * 0.11


def test_rates_warm_up_and_fall_along_a_cosine() -> None:
    run = a_run(how={"epochs": 6, "warmup_epochs": 2, "learning_rate": 1.0})
    rates = losses_of(fit(run, Place()).history, "learning_rate")
    expected = [1 / 3, 2 / 3, 1.0, *(0.5 * (1 + np.cos(np.pi * e / 4)) for e in (1, 2, 3))]
    assert rates == pytest.approx(expected)


def test_without_validation_the_last_epoch_is_kept() -> None:
    run = a_run(how={"epochs": 4, "learning_rate": 0.001})  # so slow that each epoch is better
    fitted, watched = fit(run, Place()), fit(replace(run, validate=run.train), Place())
    assert fitted.best_epoch == watched.best_epoch == 4
    assert torch.equal(watched.tensors["weight"], fitted.tensors["weight"])


def test_looking_at_validation_does_not_change_training() -> None:
    alone, watched = fit(a_run(), Place()), fit(a_run(validate=blobs(30, 8, seed=2)), Place())
    assert losses_of(alone.history) == losses_of(watched.history)


def test_dropout_is_off_in_validation() -> None:
    def dropping() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.9))

    examples = blobs(40, 40)
    run = a_run(make=dropping, train=examples, validate=examples, how={"epochs": 1})
    fitted = fit(run, Place())
    bare = {k.removeprefix("0."): v for k, v in fitted.tensors.items()}
    found = fitted.history[0]["validation_loss"]
    assert loss_of(bare, examples) == pytest.approx(found, rel=1e-5)


def test_the_loss_told_is_the_mean_over_images() -> None:
    examples = blobs(40, 40)
    fitted = fit(a_run(train=examples, how={"epochs": 1, "learning_rate": 1e-9}), Place())
    assert fitted.history[0]["loss"] == pytest.approx(loss_of(fitted.tensors, examples), rel=1e-4)


def test_a_separable_problem_is_learned() -> None:
    fitted = fit(a_run(train=blobs(200, 20), how={"epochs": 10}), Place())
    unseen = blobs(200, 200, seed=33)
    weight, bias = fitted.tensors["weight"].numpy(), fitted.tensors["bias"].numpy()
    found = (unseen.inputs @ weight.T + bias).argmax(axis=1)
    assert (found == unseen.targets.argmax(axis=1)).mean() > 0.99
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]


def test_images_that_count_nothing_change_nothing() -> None:
    examples = blobs(48, 48)
    wrong = examples.targets[:, ::-1].copy()
    weights = (np.arange(48) < 40).astype(np.float32)
    targets = np.where(weights[:, None] > 0, examples.targets, wrong)
    runs = [
        a_run(train=replace(examples, targets=t, weights=weights))
        for t in (examples.targets, targets)
    ]
    first, second = (weights_of(run) for run in runs)
    assert torch.equal(first["weight"], second["weight"])
    # Of the images that count, the mean is taken: as if the others were not there.
    fewer = a_run(train=Arrays(examples.inputs[:40], examples.targets[:40], 48))
    assert torch.allclose(weights_of(fewer)["weight"], first["weight"], atol=1e-6)


class Killed(Exception):
    """Stands for a worker that dies between two epochs."""


class Shelf:
    """Keeps checkpoints as bytes, as a workspace does."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def latest(self) -> Any:
        return None if self.data is None else unpack(self.data)

    def keep(self, epoch: int, state: Any) -> None:
        sink = io.BytesIO()
        pack(state, sink)
        self.data = sink.getvalue()


def cnn() -> torch.nn.Module:
    return Cnn(2, (4, 8))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"schedule": "plateau", "patience": 4},
        {"freeze_epochs": 2, "body_learning_rate": 0.1},
        {"precision": "bfloat16"},
    ],
    ids=["cosine", "plateau", "frozen body", "bfloat16"],
)
@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_run_ends_with_the_very_network_of_one_that_was_not(
    how: dict[str, Any], after: int
) -> None:
    how = {"network": "cnn", "epochs": 5, "validate_on": "weak"} | how
    make = MakeOnImages(cnn, HOW)
    run = a_run(make=make, train=pictures(20, 8), validate=pictures(9, 4, seed=3), how=how)
    whole = fit(run, Place())
    shelf = Shelf()

    def tell(record: Record) -> None:
        if record["epoch"] > after:
            raise Killed

    with pytest.raises(Killed):
        fit(run, Place(), None, shelf, tell)
    resumed = fit(run, Place(), shelf.latest(), shelf)
    assert losses_of(resumed.history) == losses_of(whole.history)
    for name, tensor in whole.tensors.items():
        assert torch.equal(resumed.tensors[name], tensor), name
    assert resumed.best_epoch == whole.best_epoch


def test_a_frozen_body_stays_and_then_learns_slowly() -> None:
    make = MakeOnImages(cnn, HOW)
    start = a_training(seed=11)
    torch.manual_seed(start.seed)
    before = {k: v.clone() for k, v in make().state_dict().items()}
    how = {"network": "cnn", "freeze_epochs": 2, "body_learning_rate": 0.1, "schedule": "constant"}

    def after(epochs: int) -> dict[str, torch.Tensor]:
        return weights_of(a_run(make=make, train=pictures(20, 8), how=how | {"epochs": epochs}))

    frozen, thawed = after(2), after(3)
    head = "network.11."
    for name, tensor in before.items():
        assert torch.equal(frozen[name], tensor) == (not name.startswith(head)), name
    moved = (thawed["network.0.weight"] - before["network.0.weight"]).abs().max()
    # One epoch of three steps of AdamW: each at most about the body's learning rate.
    assert 0 < moved < 3 * 0.05 * 0.1 * 1.5


def test_frozen_normalization_keeps_its_statistics() -> None:
    make = MakeOnImages(cnn, HOW)
    torch.manual_seed(11)
    before = make().state_dict()
    frozen = weights_of(
        a_run(make=make, train=pictures(20, 8), how={"network": "cnn", "batch_norm": "frozen"})
    )
    free = weights_of(a_run(make=make, train=pictures(20, 8), how={"network": "cnn"}))
    name = "network.1.running_mean"
    assert torch.equal(frozen[name], before[name])
    assert not torch.equal(free[name], before[name])


@pytest.mark.parametrize(
    "how", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}], ids=str
)
def test_mixed_images_are_learned_from(how: dict[str, float]) -> None:
    settings = a_training(network="cnn", epochs=12, **how)
    mixing = Mixing(settings.mixup, settings.cutmix)
    images, targets = torch.zeros(4, 8, 8, 3, dtype=torch.uint8), torch.eye(2)[[0, 1, 0, 1]]
    mixed, mixed_NK = mixing(images, targets)
    assert mixed.shape == images.shape
    assert torch.allclose(mixed_NK.sum(dim=1), torch.ones(4))
    run = a_run(make=MakeOnImages(cnn, HOW), train=pictures(40, 8), how=dict(settings))
    run = replace(run, how=settings, objective=Supervised(settings, mixing))
    history = fit(replace(run, validate=pictures(30, 30, seed=4)), Place()).history
    assert history[-1]["validation_accuracy"] > 0.9


@pytest.mark.parametrize("kind", ["sum", "kl", "mse"])
def test_two_views_are_learned_from(kind: str) -> None:
    train = pictures(40, 8)
    noise = np.random.default_rng(5).integers(0, 20, train.inputs.shape)
    other = (train.inputs.astype(int) + noise).clip(0, 255).astype(np.uint8)
    how = {"network": "cnn", "epochs": 10, "augment": {}, "consistency": {"kind": kind}}
    run = a_run(make=MakeOnImages(cnn, HOW), train=replace(train, other=other), how=how)
    history = fit(replace(run, validate=pictures(30, 30, seed=4)), Place()).history
    assert history[-1]["validation_accuracy"] > 0.9


def test_what_differs_between_two_views_is_punished_even_without_labels() -> None:
    train = pictures(24, 24)
    nothing = np.zeros(24, np.float32)
    how = {"network": "cnn", "augment": {}, "epochs": 1}
    consistency = {"kind": "mse", "weight": 100.0, "unlabeled": True}
    make = MakeOnImages(cnn, HOW)
    bright = replace(train, weights=nothing, other=255 - train.inputs)
    run = a_run(make=make, train=bright, how=how | {"consistency": consistency})
    assert fit(run, Place()).tensors["network.11.weight"].isfinite().all()
    objective, network = run.objective, make().eval()  # without dropout
    (batch,) = bright(0, 0, 1)
    apart = objective.loss(network, batch, Place(), 0).item()
    same = objective.loss(network, replace(batch, other=batch.inputs), Place(), 0).item()
    deaf = a_training(**how, consistency=consistency | {"unlabeled": False})
    assert apart > 0
    assert same == pytest.approx(0, abs=1e-9)
    assert Supervised(deaf).loss(network, batch, Place(), 0).item() == 0


def test_what_cannot_be_learned_is_refused_and_not_called_trained() -> None:
    nothing = np.zeros(50, np.float32)
    empty = Arrays(np.zeros((0, 3), np.float32), np.zeros((0, 2), np.float32), 8)
    for train in (replace(blobs(50, 16), weights=nothing), empty):
        with pytest.raises(TrainingError, match="toy: there is no image to learn from"):
            fit(a_run(train=train), Place())
    watched = {"validate_on": "truth"}
    with pytest.raises(TrainingError, match=r"toy: validate_on: truth finds no image"):
        fit(a_run(validate=empty, how=watched), Place())
    one = blobs(20, 8)
    same = replace(one, targets=np.tile(np.array([[0.9, 0.1]], np.float32), (20, 1)))
    assert "validation_roc_auc" not in fit(a_run(validate=same, how=watched), Place()).history[0]
    with pytest.raises(TrainingError, match=r"select_by: roc_auc is not defined where"):
        fit(a_run(validate=same, how=watched | {"select_by": "roc_auc"}), Place())


def test_a_network_that_is_not_sure_learns_nothing_and_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"model_confidence_threshold: .* nowhere as sure as 1"):
        fit(a_run(how={"model_confidence_threshold": 1.0}), Place())
    assert fit(a_run(how={"model_confidence_threshold": 0.6}), Place()).history[0]["loss"] > 0


def test_a_mixed_part_counts_what_its_image_counts() -> None:
    """The label of an image that counts nothing teaches nothing, mixed with whichever other."""
    found = []
    for label in (0, 1):
        targets = np.eye(2, dtype=np.float32)[[0, label, 1, label]]
        weights = np.array([1, 0, 1, 0], np.float32)
        batch = Batch(pictures(4, 4).inputs, targets, weights, 2.0, (4,))
        settings = a_training(mixup=0.4)
        torch.manual_seed(3)
        network = MakeOnImages(cnn, HOW)().eval()
        objective = Supervised(settings, Mixing(settings.mixup, 0.0))
        found.append(objective.loss(network, batch, Place(), 0).item())
    assert found[0] == found[1] > 0


@pytest.mark.parametrize("objective", [Rotation(), SimClr(0.5)], ids=["rotation", "simclr"])
def test_images_alone_teach_a_body(objective: Any) -> None:
    # Bright above, dark below: a turn can be told, and so can one image from another.
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (32, 8, 8, 3))
    images[:, :4] += 150
    images += rng.integers(-40, 40, (32, 1, 1, 3))
    first = images.clip(0, 255).astype(np.uint8)
    other = (images + rng.integers(-10, 10, images.shape)).clip(0, 255).astype(np.uint8)
    train = Arrays(first, np.zeros((32, 0), np.float32), 16, other=other)
    how = a_training(network="cnn", epochs=12, learning_rate=0.01)
    run = Run(
        "body", "models/body", MakeOnImages(lambda: Cnn(4, (4, 8)), HOW), how, objective, train
    )
    history = fit(run, Place()).history
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
