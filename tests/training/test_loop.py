"""Training on soft targets: a loss computed by hand, groups like one worker, seeded to the bit."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.training.loop import Batch, Fitted, Place, Run, fit, soft_cross_entropy


@dataclass(frozen=True)
class Arrays:
    """Examples from memory, in the same order every epoch."""

    inputs: np.ndarray
    targets: np.ndarray
    batch_size: int

    def __call__(self, epoch: int) -> Iterator[Batch]:
        for start in range(0, len(self.inputs), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self.inputs[part], self.targets[part]


def blobs(size: int, batch_size: int, seed: int = 0) -> Arrays:
    """Make two clouds of points that a line separates, with soft targets."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 2, size)
    inputs = rng.normal(0, 0.5, (size, 3)) + np.where(ids, 2.0, -2.0)[:, None]
    soft = np.where(ids[:, None] == np.arange(2), 0.8, 0.2)
    return Arrays(inputs.astype(np.float32), soft.astype(np.float32), batch_size)


def linear() -> torch.nn.Module:
    return torch.nn.Linear(3, 2)


def fixed() -> torch.nn.Module:
    """Build a network without drawing random numbers, so that threads may do so at once."""
    rng = np.random.default_rng(7)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    state = {
        k: rng.normal(size=v.shape).astype(np.float32) for k, v in network.state_dict().items()
    }
    network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    return network


def a_run(**changes: object) -> Run:
    base = Run("toy", linear, blobs(50, 16), None, 3, 0.05, 1e-4, 11)
    return replace(base, **changes)


def test_the_loss_is_the_one_computed_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    targets = torch.tensor([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    log_sum = np.log(np.exp(2) + np.exp(0) + np.exp(-1))
    first = -(0.7 * (2 - log_sum) + 0.2 * (0 - log_sum) + 0.1 * (-1 - log_sum))
    assert soft_cross_entropy(logits, targets).item() == pytest.approx(first + np.log(3), rel=1e-6)


def test_one_hot_targets_give_the_usual_cross_entropy() -> None:
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(9) % 4
    usual = torch.nn.functional.cross_entropy(logits, ids, reduction="sum")
    mine = soft_cross_entropy(logits, torch.nn.functional.one_hot(ids, 4).float())
    assert mine.item() == pytest.approx(usual.item(), rel=1e-5)


@settings(deadline=None, max_examples=40)
@given(size=st.integers(0, 20), world_size=st.integers(1, 5))
def test_parts_of_a_batch_are_the_whole_batch(size: int, world_size: int) -> None:
    batch = np.arange(size * 2, dtype=np.float32).reshape(size, 2), np.ones((size, 3), np.float32)
    parts = [Place(rank, world_size).part(batch) for rank in range(world_size)]
    inputs = torch.cat([part[0] for part in parts]).numpy()
    assert sorted(inputs[:, 0].tolist()) == batch[0][:, 0].tolist()
    assert sum(len(part[1]) for part in parts) == size


class Averaging:
    """A group of threads that average each gradient, as processes do over the network."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size, timeout=20)
        self._given: list[torch.Tensor | None] = [None] * size

    def wrap(self, rank: int) -> Callable[[torch.nn.Module], torch.nn.Module]:
        def averaged(gradient: torch.Tensor) -> torch.Tensor:
            self._given[rank] = gradient.clone()
            self._barrier.wait()
            mean = torch.stack([g for g in self._given if g is not None]).mean(dim=0)
            self._barrier.wait()
            return mean

        def wrapped(module: torch.nn.Module) -> torch.nn.Module:
            for parameter in module.parameters():
                parameter.register_hook(averaged)
            return module

        return wrapped


def fit_together(run: Run, size: int) -> list[Fitted]:
    group = Averaging(size)
    found: dict[int, Fitted] = {}

    def work(rank: int) -> None:
        found[rank] = fit(run, Place(rank, size, wrap=group.wrap(rank)))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(size)]


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("size", [48, 51, 49], ids=["even", "unequal last batch", "empty part"])
def test_a_group_learns_what_one_worker_learns(workers: int, size: int) -> None:
    run = a_run(make=fixed, train=blobs(size, 16), validate=blobs(20, 7, seed=1))
    alone = fit(run, Place())
    for member in fit_together(run, workers):
        for name, tensor in alone.tensors.items():
            assert torch.allclose(member.tensors[name], tensor, atol=1e-5), name
        assert member.validation_losses == pytest.approx(alone.validation_losses, abs=1e-5)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = fit(a_run(), Place()), fit(a_run(), Place())
    other = fit(a_run(seed=12), Place())
    assert all(torch.equal(first.tensors[k], second.tensors[k]) for k in first.tensors)
    assert first.losses == second.losses
    assert not torch.equal(first.tensors["weight"], other.tensors["weight"])


def test_a_run_starts_afresh_whatever_ran_before() -> None:
    torch.manual_seed(99)
    first = fit(a_run(), Place())
    fit(a_run(seed=5, epochs=1), Place())
    assert torch.equal(fit(a_run(), Place()).tensors["weight"], first.tensors["weight"])


def loss_of(tensors: dict[str, torch.Tensor], examples: Arrays) -> float:
    network = linear()
    network.load_state_dict(tensors)
    with torch.no_grad():
        logits = network(torch.from_numpy(examples.inputs))
        total = soft_cross_entropy(logits, torch.from_numpy(examples.targets))
    return total.item() / len(examples.inputs)


def test_validation_picks_the_best_epoch() -> None:
    # Little noisy data to learn from: at some point more of it makes the rest worse.
    rng = np.random.default_rng(4)
    hard = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 12)]
    train = Arrays(blobs(12, 4).inputs, hard, 4)
    validate = blobs(60, 16, seed=9)
    fitted = fit(a_run(train=train, validate=validate, epochs=12, learning_rate=0.1), Place())
    losses = fitted.validation_losses
    assert len(losses) == len(fitted.losses) == 12
    assert min(losses) < losses[-1]
    assert loss_of(fitted.tensors, validate) == pytest.approx(min(losses), rel=1e-5)


def test_without_validation_the_last_epoch_is_kept() -> None:
    run = a_run(make=fixed, epochs=4, learning_rate=0.001)  # so slow that each epoch is better
    fitted, watched = fit(run, Place()), fit(replace(run, validate=run.train), Place())
    assert fitted.validation_losses == []
    assert watched.validation_losses[-1] == min(watched.validation_losses)
    assert torch.equal(watched.tensors["0.weight"], fitted.tensors["0.weight"])
    assert not torch.equal(fitted.tensors["0.weight"], fixed().state_dict()["0.weight"])


def test_looking_at_validation_does_not_change_training() -> None:
    alone, watched = fit(a_run(), Place()), fit(a_run(validate=blobs(30, 8, seed=2)), Place())
    assert alone.losses == watched.losses


def test_dropout_is_off_in_validation() -> None:
    def dropping() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.9))

    examples = blobs(40, 40)
    fitted = fit(a_run(make=dropping, train=examples, validate=examples, epochs=1), Place())
    bare = {k.removeprefix("0."): v for k, v in fitted.tensors.items()}
    assert loss_of(bare, examples) == pytest.approx(fitted.validation_losses[0], rel=1e-5)


def test_the_loss_told_is_the_mean_over_images() -> None:
    examples = blobs(40, 40)
    fitted = fit(a_run(train=examples, epochs=1, learning_rate=1e-9), Place())
    assert fitted.losses[0] == pytest.approx(loss_of(fitted.tensors, examples), rel=1e-4)


def test_a_separable_problem_is_learned() -> None:
    fitted = fit(a_run(train=blobs(200, 20), epochs=10), Place())
    unseen = blobs(200, 200, seed=33)
    weight, bias = fitted.tensors["weight"].numpy(), fitted.tensors["bias"].numpy()
    found = (unseen.inputs @ weight.T + bias).argmax(axis=1)
    assert (found == unseen.targets.argmax(axis=1)).mean() > 0.99
    assert fitted.losses[-1] < fitted.losses[0]
