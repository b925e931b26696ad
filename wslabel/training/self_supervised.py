"""Objectives that teach a body from images alone: telling turns, and finding the other view."""

from dataclasses import dataclass

import numpy as np
import torch

from wslabel.training import losses
from wslabel.training.batch import Batch
from wslabel.training.objectives import to_device
from wslabel.training.worker_context import WorkerContext, gather

QUARTERS = 4


@dataclass(frozen=True)
class Rotation:
    """Tell by how many quarters an image was turned (Gidaris et al. 2018)."""

    def loss(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext, epoch: int
    ) -> torch.Tensor:
        """Give the mean loss over all four turns of each image."""
        losses_N, _ = self.answers(network, batch, worker)
        return (losses_N * to_device(batch.weights_N, worker)).sum() / max(batch.total, 1e-9)

    def answers(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss of each image over its turns, and whether each turn was told (0 or 1)."""
        images = to_device(batch.inputs, worker)
        turned = torch.cat([images.rot90(k, (1, 2)) for k in range(QUARTERS)])
        wanted = torch.arange(QUARTERS, device=worker.device).repeat_interleave(len(images))
        logits = network(turned)
        each = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
        right = (logits.argmax(dim=1) == wanted).float()
        return each.view(QUARTERS, -1).mean(dim=0), right.view(QUARTERS, -1).T

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Give the share of turns that were told."""
        return {"accuracy": float(answers_NK.mean()) if len(answers_NK) else 0.0}


@dataclass(frozen=True)
class SimClr:
    """Find the other view of the same image among all others (Chen et al. 2020).

    Attributes:
        temperature: Divides the cosines between views.
    """

    temperature: float

    def loss(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext, epoch: int
    ) -> torch.Tensor:
        """Compare this worker's views with those of all workers."""
        losses_N, _ = self.answers(network, batch, worker)
        return (losses_N * to_device(batch.weights_N, worker)).sum() / max(batch.total, 1e-9)

    def answers(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss of each image, and what its first view was projected to."""
        assert batch.other is not None
        both = to_device(np.concatenate([batch.inputs, batch.other]), worker)
        own_VND = torch.stack(network(both).chunk(2))
        sizes = list(batch.sizes)
        counted_VnD = own_VND[:, : sizes[worker.rank]]
        views = [gather(view_nD, worker, sizes) for view_nD in counted_VnD]
        first = sum(sizes[: worker.rank])
        losses_N = losses.nt_xent(counted_VnD, torch.cat(views), first, self.temperature)
        return losses_N, own_VND[0]

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Nothing beside the loss."""
        return {}
