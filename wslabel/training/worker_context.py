"""A group of workers: this one's place in it, what they exchange, and what one does for all.

Sums and gathers are such that gradients go through them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from wslabel.errors import TrainingError

SENT_BYTES = 64 * 2**20
"""Bytes that are sent at once: as much lies twice in the memory of a device, and no more."""


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


def from_first(values: torch.Tensor, worker: WorkerContext) -> torch.Tensor:
    """Give all workers the values of the first one; a tensor of the others' is overwritten."""
    if worker.world_size > 1:
        dist.broadcast(values, 0)
    return values


def record_from_first(record: dict[str, float], worker: WorkerContext) -> dict[str, float]:
    """Give all workers the figures of the first one, whatever machine each is.

    What follows from figures (which epoch is best, whether to stop) must be the same for all, and
    their last bits hang on the machine.
    """
    if worker.world_size == 1:
        return record
    told = [record]
    dist.broadcast_object_list(told, 0, device=worker.device)
    return told[0]


def bytes_from_first(data: Any, worker: WorkerContext) -> Any:
    """Give all workers what the first one has read.

    Args:
        data: A buffer of bytes, or None; that of the other workers is not looked at.
        worker: This worker.
    """
    if worker.world_size == 1:
        return data
    own = -1 if data is None or not worker.is_first else memoryview(data).nbytes
    size = int(from_first(torch.tensor([own], device=worker.device), worker))
    if size < 0:
        return None
    received = np.frombuffer(data, np.uint8) if worker.is_first else np.empty(size, np.uint8)
    for start in range(0, size, SENT_BYTES):
        part = received[start : start + SENT_BYTES]
        sent = from_first(torch.from_numpy(part.copy()).to(worker.device), worker)
        if not worker.is_first:
            part[:] = sent.cpu().numpy()
    return received


def first_does(action: Callable[[], object], worker: WorkerContext) -> None:
    """Let the first worker do something for all; where it fails, all end instead of waiting for it.

    Raises:
        TrainingError: It failed, and this is another worker; the first one raises what it met.
    """
    is_done = False
    try:
        if worker.is_first:
            action()
        is_done = True
    finally:
        done = from_first(torch.tensor([float(is_done)], device=worker.device), worker)
    if not bool(done):
        raise TrainingError("the first worker of the group failed")
