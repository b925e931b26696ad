"""The objective of learning from labels: weighted, mixed, or of two views that shall agree."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from wslabel.config.training import Training
from wslabel.metrics import macro_f1, roc_auc
from wslabel.networks.trained import probabilities
from wslabel.training import losses
from wslabel.training.batch import Batch
from wslabel.training.objectives import to_device
from wslabel.training.worker_context import WorkerContext

Mix = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Mixes the images of a batch with one another, and their labels with them."""


@dataclass(frozen=True)
class Supervised:
    """Learn given labels, as the settings say.

    Attributes:
        settings: Loss, the network's own confidence threshold, and consistency.
        mix: Mixes images and labels before each step; None leaves them.
    """

    settings: Training
    mix: Mix | None = None

    def loss(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext, epoch: int
    ) -> torch.Tensor:
        """Give the weighted loss of the labels, and how far two views differ."""
        if batch.other is not None:
            return self._of_two_views(network, batch, worker, epoch)
        targets_NK = to_device(batch.targets_NK, worker)
        weights_N = to_device(batch.weights_N, worker)
        inputs = to_device(batch.inputs, worker)
        if self.mix is not None and self.settings.loss == "cross_entropy":
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
        if self.settings.model_confidence_threshold > 0:
            sure_N = losses.is_sure(logits_NK, self.settings.model_confidence_threshold)
            weights_N = weights_N * sure_N
        return (self._each(logits_NK, targets_NK) * weights_N).sum()

    def _each(self, logits_NK: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
        if self.settings.loss == "binary_cross_entropy":
            return losses.binary_cross_entropy(logits_NK, targets_NK)
        return losses.cross_entropy(logits_NK, targets_NK)

    def _of_two_views(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext, epoch: int
    ) -> torch.Tensor:
        assert self.settings.consistency is not None
        assert batch.other is not None
        consistency = self.settings.consistency
        targets_NK = to_device(batch.targets_NK, worker)
        weights_N = to_device(batch.weights_N, worker)
        both = to_device(np.concatenate([batch.inputs, batch.other]), worker)
        first_NK, second_NK = network(both).chunk(2)
        supervised = self._weighted(first_NK, targets_NK, weights_N)
        supervised = supervised + self._weighted(second_NK, targets_NK, weights_N)
        supervised = supervised / max(batch.total, 1e-9)
        if consistency.kind == "sum":
            return supervised
        differ = losses.kl_consistency if consistency.kind == "kl" else losses.mse_consistency
        counts = torch.ones_like(weights_N) if consistency.unlabeled else (weights_N > 0).float()
        apart_N = differ(first_NK, second_NK) * counts
        apart = apart_N[: batch.sizes[worker.rank]].sum() / batch.count
        ramp_up = consistency.ramp_up_epochs
        reached = losses.ramp_up(epoch / ramp_up) if ramp_up else 1.0
        return supervised / 2 + consistency.weight * reached * apart

    def answers(
        self, network: torch.nn.Module, batch: Batch, worker: WorkerContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss and the class probabilities of each image."""
        logits_NK = network(to_device(batch.inputs, worker))
        per_class = self.settings.loss == "binary_cross_entropy"
        probs_NK = probabilities(logits_NK, per_class=per_class)
        return self._each(logits_NK, to_device(batch.targets_NK, worker)), probs_NK

    def metrics(self, answers_NK: np.ndarray, targets_NK: np.ndarray) -> dict[str, float]:
        """Give accuracy, macro F1 and ROC-AUC against the most probable class of each label."""
        truth_N, answer_N = targets_NK.argmax(axis=1), answers_NK.argmax(axis=1)
        metrics = {
            "accuracy": float((truth_N == answer_N).mean()),
            "macro_f1": macro_f1(truth_N, answer_N, targets_NK.shape[1]),
        }
        area = roc_auc(truth_N, answers_NK)
        return metrics if area is None else metrics | {"roc_auc": area}
