"""A plain loop over epochs: seeded to the bit, the best epoch chosen, going on where it stopped."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.toys import Arrays, a_run, blobs, linear, pictures
from wslabel.config.preprocess import Preprocess
from wslabel.networks.factory import BuildOnImages
from wslabel.networks.modules import Cnn
from wslabel.training.checkpoints import Position, State, pack, serialize, unpack
from wslabel.training.events import Record
from wslabel.training.learning import PAUSE_STEPS
from wslabel.training.loop import fit
from wslabel.training.losses import cross_entropy
from wslabel.training.mixup import Mixup
from wslabel.training.run import Run
from wslabel.training.supervised import Supervised
from wslabel.training.worker_context import WorkerContext

PREPROCESS = Preprocess(resize=8, crop=8)
CNN = {"network": "cnn"}


def losses_of(history: list[Record], name: str = "loss") -> list[float]:
    return [record[name] for record in history]


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    return fit(run, WorkerContext()).tensors


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = fit(a_run(), WorkerContext()), fit(a_run(), WorkerContext())
    other = fit(a_run(settings={"seed": 12}), WorkerContext())
    assert all(torch.equal(first.tensors[k], second.tensors[k]) for k in first.tensors)
    assert losses_of(first.history) == losses_of(second.history)
    assert not torch.equal(first.tensors["weight"], other.tensors["weight"])


def test_a_run_starts_afresh_whatever_ran_before() -> None:
    torch.manual_seed(99)
    first = weights_of(a_run())
    fit(a_run(settings={"seed": 5, "epochs": 1}), WorkerContext())
    assert torch.equal(weights_of(a_run())["weight"], first["weight"])


def test_what_dropout_draws_follows_from_the_seed() -> None:
    def dropping() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(3, 2))

    first, second = (weights_of(a_run(build=dropping)) for _ in range(2))
    assert torch.equal(first["1.weight"], second["1.weight"])


def loss_of(tensors: dict[str, torch.Tensor], examples: Arrays) -> float:
    network = linear()
    network.load_state_dict(tensors)
    with torch.no_grad():
        logits = network(torch.from_numpy(examples.inputs))
        return cross_entropy(logits, torch.from_numpy(examples.targets)).mean().item()


def overfitting(**settings: Any) -> Run:
    """Little noisy data to learn from: at some point more of it makes the rest worse."""
    rng = np.random.default_rng(4)
    hard = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 12)]
    train = Arrays(blobs(12, 4).inputs, hard, 4)
    settings = {"epochs": 12, "learning_rate": 0.1, "validate_on": "weak"} | settings
    return a_run(train=train, validate=blobs(60, 16, seed=9), settings=settings)


def test_validation_picks_the_best_epoch() -> None:
    fitted = fit(overfitting(), WorkerContext())
    losses = losses_of(fitted.history, "validation_loss")
    assert len(losses) == 12
    assert min(losses) < losses[-1]
    assert fitted.best_epoch == 1 + int(np.argmin(losses))
    assert loss_of(fitted.tensors, blobs(60, 16, seed=9)) == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "roc_auc"])
def test_a_metric_picks_the_first_epoch_that_is_best(metric: str) -> None:
    fitted = fit(overfitting(select_by=metric), WorkerContext())
    values = losses_of(fitted.history, f"validation_{metric}")
    assert fitted.best_epoch == 1 + int(np.argmax(values))


def test_training_stops_when_validation_has_long_got_no_better() -> None:
    whole = fit(overfitting(epochs=40), WorkerContext())
    stopped = fit(overfitting(epochs=40, patience=2), WorkerContext())
    best = stopped.best_epoch
    assert len(stopped.history) == best + 2 < 40
    # Along the same cosine: stopping early does not change the way there.
    assert losses_of(stopped.history) == losses_of(whole.history)[: best + 2]


def test_without_validation_the_last_epoch_is_kept() -> None:
    # So slow that each epoch is better than the one before.
    run = a_run(settings={"epochs": 4, "learning_rate": 0.001})
    kept = fit(run, WorkerContext())
    watched = fit(replace(run, validate=run.train), WorkerContext())
    assert kept.best_epoch == watched.best_epoch == 4
    assert torch.equal(watched.tensors["weight"], kept.tensors["weight"])


def test_looking_at_validation_does_not_change_training() -> None:
    alone = fit(a_run(), WorkerContext())
    watched = fit(a_run(validate=blobs(30, 8, seed=2)), WorkerContext())
    assert losses_of(alone.history) == losses_of(watched.history)


def test_a_separable_problem_is_learned() -> None:
    run = a_run(train=blobs(200, 20), settings={"epochs": 10})
    fitted = fit(run, WorkerContext())
    unseen = blobs(200, 200, seed=33)
    weight, bias = fitted.tensors["weight"].numpy(), fitted.tensors["bias"].numpy()
    answers = (unseen.inputs @ weight.T + bias).argmax(axis=1)
    assert (answers == unseen.targets.argmax(axis=1)).mean() > 0.99
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]


class Killed(Exception):
    """Stands for a worker that dies between two epochs."""


class Shelf:
    """Keeps checkpoints as bytes, as a workspace does."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def latest(self) -> bytes | None:
        return self.data

    def keep(self, position: Position, state: State) -> None:
        sink = io.BytesIO()
        pack(state, sink)
        self.data = sink.getvalue()


class Deadly(Shelf):
    """Kills who keeps the checkpoint of some position, once it is kept."""

    def __init__(self, position: Position) -> None:
        super().__init__()
        self.position = position

    def keep(self, position: Position, state: State) -> None:
        super().keep(position, state)
        if position == self.position:
            raise Killed


def state_of(shelf: Shelf) -> State:
    assert shelf.data is not None
    return unpack(shelf.data)


def cnn() -> torch.nn.Module:
    return Cnn(2, (4, 8))


@pytest.mark.parametrize(
    "changes",
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
    changes: dict[str, Any], after: int
) -> None:
    run = a_run(
        build=BuildOnImages(cnn, PREPROCESS),
        train=pictures(20, 8),
        validate=pictures(9, 4, seed=3),
        settings=CNN | {"epochs": 5, "validate_on": "weak"} | changes,
    )
    whole = fit(run, WorkerContext())
    shelf = Shelf()

    def on_epoch(record: Record) -> None:
        if record["epoch"] > after:
            raise Killed

    with pytest.raises(Killed):
        fit(run, WorkerContext(), None, shelf, on_epoch)
    resumed = fit(run, WorkerContext(), state_of(shelf), shelf)
    assert losses_of(resumed.history) == losses_of(whole.history)
    for name, tensor in whole.tensors.items():
        assert torch.equal(resumed.tensors[name], tensor), name
    assert resumed.best_epoch == whole.best_epoch


class Dropping(torch.nn.Module):
    """Draws in every step, and remembers what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5),
            torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 2),
        )  # fmt: skip

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.layers(values)


AT_ONCE = {"checkpoint_every_s": 1e-9}
"""At every pause."""


def long_epochs(**settings: Any) -> Run:
    """Epochs of 25 steps, in which images are mixed and outputs dropped at random."""
    base = CNN | {"epochs": 2, "mixup": 0.2, "cutmix": 0.3, "validate_on": "weak"} | settings
    run = a_run(
        build=BuildOnImages(Dropping, PREPROCESS),
        train=pictures(99, 4),
        validate=pictures(9, 4, seed=3),
        settings=base,
    )
    mix = Mixup(run.supervision.mixup, run.supervision.cutmix)
    return replace(run, objective=Supervised(run.supervision, mix))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("place", [(0, PAUSE_STEPS), (0, 3 * PAUSE_STEPS), (1, 0), (1, 16)])
def test_a_run_killed_within_an_epoch_ends_as_one_that_was_not(
    place: tuple[int, int], precision: str
) -> None:
    run = long_epochs(**AT_ONCE, precision=precision)
    whole = fit(long_epochs(checkpoint_every_s=None, precision=precision), WorkerContext())
    shelf = Deadly(Position(*place))
    with pytest.raises(Killed):
        fit(run, WorkerContext(), None, shelf)
    resumed = fit(run, WorkerContext(), state_of(shelf))
    assert serialize(resumed) == serialize(whole)  # history and all
    assert resumed.history[-1]["images_per_s"] > 0


def test_what_was_learned_from_before_is_not_read_again() -> None:
    shelf, read = Deadly(Position(0, 16)), list[int]()

    class Counting(Arrays):
        def __call__(self, epoch: int, rank: int, world_size: int, first: int = 0) -> Any:
            read.append(first)
            return super().__call__(epoch, rank, world_size, first)

    run = replace(long_epochs(**AT_ONCE), train=Counting(**vars(pictures(99, 4))))
    with pytest.raises(Killed):
        fit(run, WorkerContext(), None, shelf)
    fit(run, WorkerContext(), state_of(shelf))
    assert read == [0, 16, 0]


@pytest.mark.parametrize(("every_s", "number"), [(None, 2), (3600.0, 2), (1e-9, 8)])
def test_checkpoints_come_by_time_and_after_each_epoch(every_s: float | None, number: int) -> None:
    places = list[Position]()

    class Noting(Shelf):
        def keep(self, position: Position, state: State) -> None:
            places.append(position)

    fit(long_epochs(checkpoint_every_s=every_s), WorkerContext(), None, Noting())
    assert len(places) == number
    assert places == sorted(set(places))
    assert {(1, 0), (2, 0)} <= set(places)


def test_a_frozen_body_stays_and_then_learns_slowly() -> None:
    build = BuildOnImages(cnn, PREPROCESS)
    torch.manual_seed(11)
    before = {k: v.clone() for k, v in build().state_dict().items()}
    settings = CNN | {"freeze_epochs": 2, "body_learning_rate": 0.1, "schedule": "constant"}

    def after(epochs: int) -> dict[str, torch.Tensor]:
        own = settings | {"epochs": epochs}
        return weights_of(a_run(build=build, train=pictures(20, 8), settings=own))

    frozen, thawed = after(2), after(3)
    head = "network.11."
    for name, tensor in before.items():
        assert torch.equal(frozen[name], tensor) == (not name.startswith(head)), name
    moved = (thawed["network.0.weight"] - before["network.0.weight"]).abs().max()
    # One epoch of three steps of AdamW: each at most about the body's learning rate.
    assert 0 < moved < 3 * 0.05 * 0.1 * 1.5
