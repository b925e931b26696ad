"""Train networks in this process: as a member of a group of workers, or alone."""

from collections.abc import Sequence

import torch

from wslabel.config.optimization import Optimization
from wslabel.training.checkpoints import Checkpoints, State, serialize, unpack
from wslabel.training.events import EpochEvent, OnEvent, Record
from wslabel.training.loop import fit
from wslabel.training.model_store import ModelStore
from wslabel.training.run import Run
from wslabel.training.worker_context import (
    WorkerContext,
    bytes_from_first,
    first_does,
    from_first,
)


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
    checkpoint = _latest(checkpoints, run.name, worker)
    if checkpoint is not None:
        on_event(_going_on(run, checkpoint))

    def on_epoch(record: Record) -> None:
        first_does(lambda: store.log(run, record), worker)
        on_event(EpochEvent(name=run.name, epochs=run.settings.epochs, record=record))

    fitted = fit(run, worker, checkpoint, checkpoints, on_epoch)
    first_does(
        lambda: store.finish(run, serialize(fitted), fitted.history, fitted.best_epoch), worker
    )


def _is_done(run: Run, store: ModelStore, worker: WorkerContext) -> bool:
    """Let the first worker look for all: they must not disagree on what they train together."""
    found = [False]
    first_does(lambda: found.append(store.is_done(run)), worker)
    return bool(from_first(torch.tensor([float(found[-1])], device=worker.device), worker))


def _latest(checkpoints: Checkpoints, name: str, worker: WorkerContext) -> State | None:
    """Let the first worker read for all, lest they go on from two, or from one that is gone."""
    found = [None]
    first_does(lambda: found.append(checkpoints.latest()), worker)
    data = bytes_from_first(found[-1], worker)
    return None if data is None else unpack(data, name)


def _going_on(run: Run, checkpoint: State) -> EpochEvent:
    begun = checkpoint["begun"]
    return EpochEvent(
        name=run.name,
        epochs=run.settings.epochs,
        earlier=tuple(checkpoint["history"]),
        batches=0 if begun is None else begun["batches"],
    )
