"""A group of workers: this one's place in it, and sums and gathers that gradients go through."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Place:
    """Where a worker stands in its group.

    Attributes:
        rank: of this worker.
        world_size: number of workers.
        device: that it computes on.
        wrap: makes a network share its gradients with the group, averaged.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    wrap: Callable[[torch.nn.Module], torch.nn.Module] = lambda module: module


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        summed = gradient.clone()
        dist.all_reduce(summed)
        return summed


def total(values: torch.Tensor, world_size: int) -> torch.Tensor:
    """Add up a tensor over all workers; each gets the sum, and all get its gradients."""
    if world_size == 1:
        return values
    summed: torch.Tensor = _Total.apply(values)
    return summed


def gather(values_ND: torch.Tensor, place: Place, sizes: list[int]) -> torch.Tensor:
    """Put the rows of all workers under one another, in the order of ranks; gradients come back.

    Args:
        values_ND: the rows of this worker.
        place: of this worker.
        sizes: number of rows of each worker.
    """
    if place.world_size == 1:
        return values_ND
    first = sum(sizes[: place.rank])
    padded = torch.nn.functional.pad(values_ND, (0, 0, first, sum(sizes) - first - len(values_ND)))
    return total(padded, place.world_size)
