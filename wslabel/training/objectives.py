"""What a network is trained for: each gives the loss of one step, and says what validation found.

An objective's loss is a sum over this worker's images divided by what the whole batch counts, so
that summed over the workers it is the mean over the batch.
"""

from typing import Protocol

import numpy as np
import torch

from wslabel.training.batch import Batch
from wslabel.training.worker_context import WorkerContext


class Objective(Protocol):
    """What a step of training is to make small."""

    def loss(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext, epoch: int
    ) -> torch.Tensor:
        """Give this worker's share of the loss of a batch; epochs count from 0."""
        ...

    def answers(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss of each image in validation, and what the network says of it."""
        ...

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Judge what the network said of all images of validation."""
        ...


def to_device(array: np.ndarray, worker: WorkerContext) -> torch.Tensor:
    """Move an array to where a worker computes."""
    host = torch.from_numpy(np.ascontiguousarray(array))
    if worker.device.type == "cuda":
        host = host.pin_memory()  # or the copy would wait until the GPU has done all steps so far
    return host.to(worker.device, non_blocking=True)
