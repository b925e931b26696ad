"""One pass over the examples: a step per batch, and figures of all of them.

Every few steps there is a pause, at which a checkpoint may be kept and from which chance is drawn
anew, from the seed of that pause: so it is known there without any generator's state.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from wslabel.errors import TrainingError
from wslabel.failpoints import reach
from wslabel.training.batch import Batch
from wslabel.training.checkpoints import EpochState
from wslabel.training.events import Record
from wslabel.training.normalization import attend
from wslabel.training.optimizer import Optimizer
from wslabel.training.run import Run
from wslabel.training.worker_context import WorkerContext, total

PAUSE_STEPS = 8
"""Steps from one pause to the next."""

Pause = Callable[[Callable[[], EpochState]], None]
"""Is called by all workers alike; what it gets gives what all have found in the epoch so far."""


def learn(
    run: Run,
    network: torch.nn.Module,
    optimizer: Optimizer,
    worker: WorkerContext,
    epoch: int,
    begun: EpochState | None = None,
    pause: Pause | None = None,
) -> Record:
    """Learn from all examples once.

    Args:
        run: Examples and objective.
        network: What learns, as the worker's group wraps it.
        optimizer: Makes the steps.
        worker: This worker.
        epoch: Number of the epoch, from 0.
        begun: What was found in this epoch before it was left; None starts it.
        pause: Is called at each pause after the first.

    Raises:
        TrainingError: There was nothing to learn.
    """
    sums = _Sums(worker, begun)
    first = sums.batches
    for batch, wait in _timed(run.train(epoch, worker.rank, worker.world_size, first)):
        reach("step", sums.batches)
        if sums.batches % PAUSE_STEPS == 0:
            if pause is not None and sums.batches > first:
                pause(sums.state)
            number = sums.batches // PAUSE_STEPS
            _seed(seed_of(run.settings.seed, epoch, worker.rank, number), worker.device)
        sums.add(_step(run, network, optimizer, worker, batch, epoch), batch, wait)
    mean = float(total(sums.loss, worker)) / max(sums.weight, 1e-9)
    took = max(1e-9, sums.seconds)  # now that a GPU has done all steps
    _refuse_nothing(run, sums.weight, sums.count)
    _refuse_unsure(run, mean, epoch)
    return {"loss": mean, "images_per_s": sums.count / took, "data_wait": sums.waited / took}


class _Sums:
    """What is found in an epoch: added up, and told so that another process can go on with it."""

    def __init__(self, worker: WorkerContext, begun: EpochState | None) -> None:
        self._worker = worker
        self._start = time.monotonic()
        losses = [0.0] if begun is None else begun["losses"]
        own = losses[worker.rank] if worker.rank < len(losses) else 0.0
        if len(losses) != worker.world_size:  # the group has shrunk or grown
            own = sum(losses) if worker.is_first else 0.0
        # Added up where it is: to ask a GPU for it would be to wait for each step's end.
        self.loss = torch.full((1,), own, device=worker.device)
        self.batches, self.weight, self.count, self.waited = 0, 0.0, 0, 0.0
        if begun is not None:
            self.batches, self.weight = begun["batches"], begun["weight"]
            self.count, self.waited = begun["count"], begun["waited"]
            self._start -= begun["seconds"]

    @property
    def seconds(self) -> float:
        """Seconds that the epoch took, without those between two processes."""
        return time.monotonic() - self._start

    def add(self, loss: torch.Tensor, batch: Batch, wait: float) -> None:
        """Add one batch."""
        self.loss, self.weight = self.loss + loss * batch.total, self.weight + batch.total
        self.count, self.waited = self.count + batch.count, self.waited + wait
        self.batches += 1

    def state(self) -> EpochState:
        """Give all that going on needs; all workers take part."""
        worker = self._worker
        losses = torch.zeros(worker.world_size, device=worker.device)
        losses[worker.rank] = self.loss[0]
        return {
            "batches": self.batches,
            "losses": total(losses, worker).tolist(),
            "weight": self.weight,
            "count": self.count,
            "waited": self.waited,
            "seconds": self.seconds,
        }


def _seed(seed: int, device: torch.device) -> None:
    """Seed what steps draw from; torch.manual_seed asks all kinds of devices, which takes long."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def seed_of(seed: int, epoch: int, rank: int, pause: int = 0) -> int:
    """Give the seed of a worker from a pause of an epoch on, far from those of all others.

    >>> seed_of(0, 0, 0) == seed_of(0, 0, 1)
    False
    """
    words = np.random.SeedSequence([seed, epoch, rank, pause])
    (state,) = words.generate_state(1, np.uint64)
    return int(state)


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
