"""What a network is trained for: each gives the loss of one step, and says what validation found.

An objective's loss is a sum over this worker's images divided by what the whole batch counts, so
that summed over the workers it is the mean over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from wslabel.metrics import macro_f1, roc_auc
from wslabel.settings import Training
from wslabel.training import losses
from wslabel.training.batch import Batch
from wslabel.training.group import Place, gather
from wslabel.training.networks import probabilities

Mix = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Mixes the images of a batch with one another, and their labels with them."""


class Objective(Protocol):
    """What a step of training is to make small."""

    def loss(
        self, network: torch.nn.Module, batch: Batch, place: Place, epoch: int
    ) -> torch.Tensor:
        """Give this worker's share of the loss of a batch; epochs count from 0."""
        ...

    def answers(
        self, network: torch.nn.Module, batch: Batch, place: Place
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss of each image in validation, and what the network says of it."""
        ...

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Judge what the network said of all images of validation."""
        ...


def to_device(array: np.ndarray, place: Place) -> torch.Tensor:
    """Move an array to where a worker computes."""
    host = torch.from_numpy(np.ascontiguousarray(array))
    if place.device.type == "cuda":
        host = host.pin_memory()  # or the copy would wait until the GPU has done all steps so far
    return host.to(place.device, non_blocking=True)


@dataclass(frozen=True)
class Supervised:
    """Learn given labels, as the settings say."""

    how: Training
    mix: Mix | None = None

    def loss(
        self, network: torch.nn.Module, batch: Batch, place: Place, epoch: int
    ) -> torch.Tensor:
        """Give the weighted loss of the labels, and how far two views differ."""
        targets_NK = to_device(batch.targets_NK, place)
        weights_N = to_device(batch.weights_N, place)
        if batch.other is not None:
            return self._of_views(network, batch, place, epoch)
        inputs = to_device(batch.inputs, place)
        if self.mix is not None and self.how.loss == "cross_entropy":
            # It is linear in the label: so each part counts what the image that it is of counts.
            inputs, targets_NK = self.mix(inputs, targets_NK * weights_N[:, None])
            weights_N = torch.ones_like(weights_N)
        elif self.mix is not None:
            inputs, targets_NK = self.mix(inputs, targets_NK)
        logits_NK = network(inputs)
        return self._weighted(logits_NK, targets_NK, weights_N) / max(batch.total, 1e-9)

    def _weighted(
        self, logits_NK: torch.Tensor, targets_NK: torch.Tensor, weights_N: torch.Tensor
    ) -> torch.Tensor:
        if self.how.model_confidence_threshold > 0:
            sure_N = losses.is_sure(logits_NK, self.how.model_confidence_threshold)
            weights_N = weights_N * sure_N
        return (self._each(logits_NK, targets_NK) * weights_N).sum()

    def _each(self, logits_NK: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
        if self.how.loss == "binary_cross_entropy":
            return losses.binary_cross_entropy(logits_NK, targets_NK)
        return losses.cross_entropy(logits_NK, targets_NK)

    def _of_views(
        self, network: torch.nn.Module, batch: Batch, place: Place, epoch: int
    ) -> torch.Tensor:
        assert self.how.consistency is not None
        assert batch.other is not None
        how = self.how.consistency
        targets_NK = to_device(batch.targets_NK, place)
        weights_N = to_device(batch.weights_N, place)
        both = to_device(np.concatenate([batch.inputs, batch.other]), place)
        first_NK, second_NK = network(both).chunk(2)
        supervised = self._weighted(first_NK, targets_NK, weights_N)
        supervised = supervised + self._weighted(second_NK, targets_NK, weights_N)
        supervised = supervised / max(batch.total, 1e-9)
        if how.kind == "sum":
            return supervised
        differ = losses.kl_consistency if how.kind == "kl" else losses.mse_consistency
        counted_N = torch.ones_like(weights_N) if how.unlabeled else (weights_N > 0).float()
        apart_N = differ(first_NK, second_NK) * counted_N
        apart = apart_N[: batch.sizes[place.rank]].sum() / batch.count
        reached = losses.ramp_up(epoch / how.ramp_up_epochs) if how.ramp_up_epochs else 1.0
        return supervised / 2 + how.weight * reached * apart

    def answers(
        self, network: torch.nn.Module, batch: Batch, place: Place
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss and the class probabilities of each image."""
        logits_NK = network(to_device(batch.inputs, place))
        per_class = self.how.loss == "binary_cross_entropy"
        found_NK = probabilities(logits_NK, per_class=per_class)
        return self._each(logits_NK, to_device(batch.targets_NK, place)), found_NK

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Give accuracy, macro F1 and ROC-AUC against the most probable class of each label."""
        truth_N = targets_NK.argmax(axis=1)
        found_N = answers_NK.argmax(axis=1)
        found = {
            "accuracy": float((truth_N == found_N).mean()),
            "macro_f1": macro_f1(truth_N, found_N, targets_NK.shape[1]),
        }
        area = roc_auc(truth_N, answers_NK)
        return found if area is None else found | {"roc_auc": area}


QUARTERS = 4


@dataclass(frozen=True)
class Rotation:
    """Tell by how many quarters an image was turned (Gidaris et al. 2018)."""

    def loss(
        self, network: torch.nn.Module, batch: Batch, place: Place, epoch: int
    ) -> torch.Tensor:
        """Give the mean loss over all four turns of each image."""
        losses_N, _ = self.answers(network, batch, place)
        return (losses_N * to_device(batch.weights_N, place)).sum() / max(batch.total, 1e-9)

    def answers(
        self, network: torch.nn.Module, batch: Batch, place: Place
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss of each image over its turns, and whether each turn was told (0 or 1)."""
        images = to_device(batch.inputs, place)
        turned = torch.cat([images.rot90(k, (1, 2)) for k in range(QUARTERS)])
        wanted = torch.arange(QUARTERS, device=place.device).repeat_interleave(len(images))
        logits = network(turned)
        each = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
        right = (logits.argmax(dim=1) == wanted).float()
        return each.view(QUARTERS, -1).mean(dim=0), right.view(QUARTERS, -1).T

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Give the share of turns that were told."""
        return {"accuracy": float(answers_NK.mean()) if len(answers_NK) else 0.0}


@dataclass(frozen=True)
class SimClr:
    """Find the other view of the same image among all others (Chen et al. 2020)."""

    temperature: float

    def loss(
        self, network: torch.nn.Module, batch: Batch, place: Place, epoch: int
    ) -> torch.Tensor:
        """Compare this worker's views with those of all workers."""
        each, _ = self.answers(network, batch, place)
        return (each * to_device(batch.weights_N, place)).sum() / max(batch.total, 1e-9)

    def answers(
        self, network: torch.nn.Module, batch: Batch, place: Place
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss of each image, and what its first view was projected to."""
        assert batch.other is not None
        both = to_device(np.concatenate([batch.inputs, batch.other]), place)
        mine_VND = torch.stack(network(both).chunk(2))
        sizes = list(batch.sizes)
        counted_VnD = mine_VND[:, : sizes[place.rank]]
        views = [gather(view_nD, place, sizes) for view_nD in counted_VnD]
        first = sum(sizes[: place.rank])
        each = losses.nt_xent(counted_VnD, torch.cat(views), first, self.temperature)
        return each, mine_VND[0]

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Nothing beside the loss."""
        return {}
