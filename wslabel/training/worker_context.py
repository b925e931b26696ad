"""A group of workers: this one's place in it, and sums and gathers that gradients go through."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist


def _unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    return module


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """Where a worker stands in its group; by default alone, on the CPU.

    Attributes:
        rank: Number of this worker, from 0.
        world_size: Number of workers.
        device: Device that this worker computes on.
        wrap: Makes a network share its gradients with the group, averaged.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    wrap: Callable[[torch.nn.Module], torch.nn.Module] = _unwrapped

    @property
    def is_first(self) -> bool:
        """Tell whether this worker speaks for the group."""
        return self.rank == 0


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


def total(values: torch.Tensor, worker: WorkerContext) -> torch.Tensor:
    """Add up a tensor over all workers; each gets the sum, and all get its gradients."""
    if worker.world_size == 1:
        return values
    summed: torch.Tensor = _Total.apply(values)
    return summed


def gather(values_ND: torch.Tensor, worker: WorkerContext, sizes: list[int]) -> torch.Tensor:
    """Put the rows of all workers under one another, in the order of ranks; gradients come back.

    Args:
        values_ND: Rows of this worker.
        worker: This worker.
        sizes: Number of rows of each worker.
    """
    if worker.world_size == 1:
        return values_ND
    first = sum(sizes[: worker.rank])
    padded = torch.nn.functional.pad(values_ND, (0, 0, first, sum(sizes) - first - len(values_ND)))
    return total(padded, worker)
