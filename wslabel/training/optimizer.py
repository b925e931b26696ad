"""Steps of AdamW, with a learning rate along a schedule."""

from typing import Any, TypedDict

import numpy as np
import torch

from wslabel.config.optimization import Optimization
from wslabel.networks.modules import body_parameters
from wslabel.training.mixed_precision import mixed_precision
from wslabel.training.worker_context import WorkerContext

PLATEAU_EPOCHS = 3


class OptimizerState(TypedDict):
    """What the optimizer needs to go on from a checkpoint."""

    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    scaler: dict[str, Any]


class Optimizer:
    """AdamW over the parameters of a network."""

    def __init__(
        self,
        network: torch.nn.Module,
        settings: Optimization,
        worker: WorkerContext,
        body_learning_rate: float = 1.0,
    ) -> None:
        """Start with the settings' learning rate.

        Args:
            network: What is trained.
            settings: Learning rate, its schedule, and the precision.
            worker: Where steps are made.
            body_learning_rate: Learning rate of all but the head, as a share of the head's.
        """
        self.precision = mixed_precision(settings.computed_precision, worker.device)
        self._world_size = worker.world_size
        self._adam = torch.optim.AdamW(
            _groups(network, settings.learning_rate, body_learning_rate),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self._schedule = _schedule(self._adam, settings)
        self._scaler = self.precision.scaler()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the head in the epoch that is going on."""
        return float(self._adam.param_groups[0]["lr"])

    def start_step(self) -> None:
        """Forget the gradients of the step before."""
        self._adam.zero_grad(set_to_none=True)

    def finish_step(self, loss: torch.Tensor) -> None:
        """Make one worker's share of a loss smaller."""
        # A group averages gradients, and this loss is one worker's share of a sum.
        self._scaler.scale(loss * self._world_size).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self._adam)
        self._scaler.update()

    def end_epoch(self, validation_loss: float | None) -> None:
        """Set the learning rate of the next epoch."""
        if isinstance(self._schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            assert validation_loss is not None
            self._schedule.step(validation_loss)
        else:
            self._schedule.step()

    def state(self) -> OptimizerState:
        """Give all that going on needs."""
        return {
            "optimizer": self._adam.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: OptimizerState) -> None:
        """Go on from what `state` gave."""
        self._adam.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])


def _groups(network: torch.nn.Module, rate: float, body_share: float) -> list[dict[str, Any]]:
    """Put the parameters of the body in a group of their own where they learn at another rate."""
    if body_share == 1.0:
        return [{"params": list(network.parameters())}]
    body = list(body_parameters(network))
    in_body = {id(parameter) for parameter in body}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in in_body]
    return [{"params": rest}, {"params": body, "lr": rate * body_share}]


def _schedule(
    optimizer: torch.optim.Optimizer, settings: Optimization
) -> torch.optim.lr_scheduler.LRScheduler | torch.optim.lr_scheduler.ReduceLROnPlateau:
    library, warmup = torch.optim.lr_scheduler, settings.warmup_epochs
    if settings.schedule == "plateau":
        return library.ReduceLROnPlateau(optimizer, factor=0.1, patience=PLATEAU_EPOCHS)

    def constant(epoch: int) -> float:
        return min(1.0, (epoch + 1) / (warmup + 1))

    def cosine(epoch: int) -> float:
        share = max(0, epoch - warmup) / max(1, settings.epochs - warmup)
        return constant(epoch) * 0.5 * (1 + float(np.cos(np.pi * share)))

    return library.LambdaLR(optimizer, cosine if settings.schedule == "cosine" else constant)
