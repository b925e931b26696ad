"""Train networks in this process: as a member of a group of workers, or alone."""

from collections.abc import Sequence

import torch

from wslabel.config.optimization import Optimization
from wslabel.training.checkpoints import serialize
from wslabel.training.events import EpochEvent, OnEvent, Record
from wslabel.training.loop import fit
from wslabel.training.model_store import ModelStore
from wslabel.training.run import Run
from wslabel.training.worker_context import WorkerContext, total


def train_here(runs: Sequence[Run], store: ModelStore, on_event: OnEvent) -> None:
    """Train networks one after another in this process, on one thread as a worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for run in runs:
            train_run(run, store, WorkerContext(), on_event)
    finally:
        torch.set_num_threads(threads)


def alone(settings: Optimization) -> WorkerContext:
    """Give the context of a worker that trains by itself, on a GPU if the settings say so."""
    return WorkerContext(device=torch.device("cuda" if settings.use_gpu else "cpu"))


def train_run(run: Run, store: ModelStore, worker: WorkerContext, on_event: OnEvent) -> None:
    """Train one network, or go on from its checkpoint, unless it is trained.

    Args:
        run: What to train.
        store: Keeps the network and its checkpoints.
        worker: This worker, a member of a group or alone.
        on_event: Is called after each epoch, in this process.
    """
    if _is_done(run, store, worker):
        return
    checkpoints = store.checkpoints(run)
    checkpoint = checkpoints.latest()
    if checkpoint is not None:
        earlier = tuple(checkpoint["history"])
        on_event(
            EpochEvent(
                name=run.name, epochs=run.settings.epochs, record=earlier[-1], earlier=earlier
            )
        )

    def on_epoch(record: Record) -> None:
        if worker.is_first:
            store.log(run, record)
        on_event(EpochEvent(name=run.name, epochs=run.settings.epochs, record=record))

    fitted = fit(run, worker, checkpoint, checkpoints, on_epoch)
    if worker.is_first:
        store.finish(run, serialize(fitted), fitted.history, fitted.best_epoch)


def _is_done(run: Run, store: ModelStore, worker: WorkerContext) -> bool:
    """Let the first worker look for all: they must not disagree on what they train together."""
    done = torch.tensor([float(worker.is_first and store.is_done(run))], device=worker.device)
    return bool(float(total(done, worker)))
