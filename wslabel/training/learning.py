"""One pass over the examples: a step per batch, and figures of all of them."""

import time
from collections.abc import Iterator

import torch

from wslabel.errors import TrainingError
from wslabel.training.batch import Batch
from wslabel.training.events import Record
from wslabel.training.normalization import attend
from wslabel.training.optimizer import Optimizer
from wslabel.training.run import Run
from wslabel.training.worker_context import WorkerContext, total


def learn(
    run: Run, network: torch.nn.Module, optimizer: Optimizer, worker: WorkerContext, epoch: int
) -> Record:
    """Learn from all examples once.

    Args:
        run: Examples and objective.
        network: What learns, as the worker's group wraps it.
        optimizer: Makes the steps.
        worker: This worker.
        epoch: Number of the epoch, from 0.

    Raises:
        TrainingError: There was nothing to learn.
    """
    start, waited, weight, count = time.monotonic(), 0.0, 0.0, 0
    # Added up where it is: to ask a GPU for it would be to wait for each step's end.
    loss_sum = torch.zeros(1, device=worker.device)
    for batch, wait in _timed(run.train(epoch, worker.rank, worker.world_size)):
        loss = _step(run, network, optimizer, worker, batch, epoch)
        loss_sum, weight = loss_sum + loss * batch.total, weight + batch.total
        count, waited = count + batch.count, waited + wait
    mean = float(total(loss_sum, worker)) / max(weight, 1e-9)
    took = max(1e-9, time.monotonic() - start)  # now that a GPU has done all steps
    _refuse_nothing(run, weight, count)
    _refuse_unsure(run, mean, epoch)
    return {"loss": mean, "images_per_s": count / took, "data_wait": waited / took}


def _step(
    run: Run,
    network: torch.nn.Module,
    optimizer: Optimizer,
    worker: WorkerContext,
    batch: Batch,
    epoch: int,
) -> torch.Tensor:
    optimizer.start_step()
    if worker.world_size > 1:
        attend(network, is_present=batch.sizes[worker.rank] > 0)
    with optimizer.precision.autocast():
        loss = run.objective.loss(network, batch, worker, epoch)
    optimizer.finish_step(loss)
    return loss.detach()


def _timed(batches: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """Say of each batch how long it was waited for."""
    while True:
        start = time.monotonic()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.monotonic() - start


def _refuse_nothing(run: Run, weight: float, count: int) -> None:
    """Refuse what would end as the random network of the start, and look trained."""
    consistency = run.supervision.consistency
    if count == 0 or (weight <= 0 and not (consistency and consistency.unlabeled)):
        raise TrainingError(
            f"{run.name}: there is no image to learn from; none of its splits has a "
            "label that counts (is confidence_threshold too high?)"
        )


def _refuse_unsure(run: Run, loss: float, epoch: int) -> None:
    least = run.supervision.model_confidence_threshold
    if least and loss == 0.0 and epoch == 0:
        raise TrainingError(
            f"{run.name}: model_confidence_threshold: the fresh network is nowhere as "
            f"sure as {least:g}, so it learned nothing; lower it, or start from weights"
        )
