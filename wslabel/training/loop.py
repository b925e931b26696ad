"""Train one network on soft targets: a plain, seeded loop over batches, alone or in a group."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

Batch = tuple[np.ndarray, np.ndarray]
"""Inputs [n, ...] and target probabilities [n, K]."""


class Examples(Protocol):
    """The labeled images of one split."""

    def __call__(self, epoch: int) -> Iterable[Batch]:
        """Go through all of them once, in the seeded order of an epoch."""
        ...


@dataclass(frozen=True)
class Run:
    """One network to train.

    Attributes:
        name: under which it is kept.
        make: builds the network; called right after seeding.
        train: examples to learn from.
        validate: examples to choose the best epoch by; None keeps the last.
        epochs: passes over the examples.
        learning_rate: at the start; falls to zero along a cosine.
        weight_decay: of AdamW.
        seed: of weights and order.
    """

    name: str
    make: Callable[[], torch.nn.Module]
    train: Examples
    validate: Examples | None
    epochs: int
    learning_rate: float
    weight_decay: float
    seed: int


@dataclass
class Fitted:
    """A trained network: tensors by name, and mean losses by epoch."""

    tensors: dict[str, torch.Tensor]
    losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a worker stands in its group; every worker gets its part of every batch."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    wrap: Callable[[torch.nn.Module], torch.nn.Module] = lambda module: module

    def part(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Move this worker's part of a batch to its device."""
        inputs, targets_NK = (np.ascontiguousarray(a[self.rank :: self.world_size]) for a in batch)
        return (
            torch.from_numpy(inputs).to(self.device, non_blocking=True),
            torch.from_numpy(targets_NK).to(self.device, non_blocking=True),
        )


def soft_cross_entropy(logits_NK: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
    """Sum over images of -sum_k target_k log softmax(logits)_k.

    >>> soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])).item()
    0.6931471824645996
    """
    return -(targets_NK * logits_NK.float().log_softmax(dim=1)).sum()


def fit(run: Run, place: Place) -> Fitted:
    """Train a network from a fresh, seeded start."""
    torch.manual_seed(run.seed)
    network = place.wrap(run.make().to(place.device))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.epochs)
    fitted = Fitted(_tensors(network))
    for epoch in range(run.epochs):
        fitted.losses.append(_epoch(network, optimizer, run.train(epoch), place))
        schedule.step()
        if run.validate is None:
            continue
        fitted.validation_losses.append(_validate(network, run.validate, place))
        if fitted.validation_losses[-1] == min(fitted.validation_losses):
            fitted.tensors = _tensors(network)
    if run.validate is None:
        fitted.tensors = _tensors(network)
    return fitted


def _epoch(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    place: Place,
) -> float:
    network.train()
    total, num_images = 0.0, 0
    for batch in batches:
        inputs, targets_NK = place.part(batch)
        optimizer.zero_grad()
        # A group averages gradients, so the mean over the whole batch needs its size as factor.
        loss = soft_cross_entropy(network(inputs), targets_NK) * place.world_size / len(batch[0])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += float(loss.detach()) * len(batch[0])
        num_images += len(batch[0])
    return total / max(1, num_images)


@torch.no_grad()
def _validate(network: torch.nn.Module, examples: Examples, place: Place) -> float:
    network.eval()
    total, num_images = 0.0, 0
    alone = Place(device=place.device)
    for batch in examples(0):
        inputs, targets_NK = alone.part(batch)
        total += float(soft_cross_entropy(network(inputs), targets_NK))
        num_images += len(batch[0])
    return total / max(1, num_images)


def _tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    return {k.removeprefix("module."): v.detach().cpu().clone() for k, v in state.items()}
