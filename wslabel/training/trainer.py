"""Train networks in workers of a cluster; the door to Ray Train."""

import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

import ray
import ray.train
import ray.train.torch
import torch

from wslabel.config.optimization import Optimization
from wslabel.engine.cluster import beside_driver
from wslabel.errors import TrainingError, WorkLeft
from wslabel.training.cores import keep_to_own_cores
from wslabel.training.events import EpochEvent, EventQueue, OnEvent
from wslabel.training.local import train_run
from wslabel.training.model_store import ModelStore
from wslabel.training.run import Run
from wslabel.training.worker_context import WorkerContext

POLL_EVERY_S = 0.3


class _Work(TypedDict):
    """What each worker is given."""

    runs: list[Run]
    store: ModelStore
    queue: Any
    """Handle of the actor that is the event queue."""


def train(runs: Sequence[Run], store: ModelStore, on_event: OnEvent) -> None:
    """Train networks one after another in one group of workers; each is kept when it is done.

    Args:
        runs: What to train; where they run is the same for all.
        store: Keeps networks and checkpoints.
        on_event: Is called after each epoch, in this process.

    Raises:
        TrainingError: A worker failed more often than the settings allow.
        WorkLeft: The process that looks after the workers died.
    """
    _be_quiet()
    queue = beside_driver(EventQueue)
    work: _Work = {"runs": list(runs), "store": store, "queue": queue}
    with tempfile.TemporaryDirectory(prefix="wslabel-train-") as folder:
        trainer = _trainer(work, runs[0].settings, folder)
        with _passing_on(queue, on_event):
            try:
                trainer.fit()
            except ray.train.TrainingFailedError as error:
                raise TrainingError(f"training failed: {cause(error)}") from error
            except ray.exceptions.RayActorError as error:
                # Ray Train starts workers again, and not the process that looks after them; what
                # that one had reserved is free once this driver is gone.
                raise WorkLeft(
                    "train: the process that looks after the workers died; run again, networks go "
                    f"on from their checkpoints ({cause(error)})"
                ) from error
    failure = ray.get(queue.failure.remote())
    if failure is not None:
        raise failure


def _be_quiet() -> None:
    # Seconds between looks at the workers; the end of a group of them is noticed by then.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    for name in ("ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _trainer(work: _Work, settings: Optimization, folder: str) -> ray.train.torch.TorchTrainer:
    return ray.train.torch.TorchTrainer(
        _train_in_worker,
        train_loop_config=dict(work),
        scaling_config=_scaling(settings),
        run_config=ray.train.RunConfig(
            name="wslabel",
            storage_path=folder,
            failure_config=ray.train.FailureConfig(max_failures=settings.max_failures),
        ),
    )


def _scaling(settings: Optimization) -> ray.train.ScalingConfig:
    resources = {"CPU": settings.cpus_per_worker}
    if settings.use_gpu:
        resources["GPU"] = settings.gpus_per_worker
    return ray.train.ScalingConfig(
        num_workers=settings.workers, use_gpu=settings.use_gpu, resources_per_worker=resources
    )


@contextmanager
def _passing_on(queue: Any, on_event: OnEvent) -> Iterator[None]:
    """Take events from the queue, in a thread, while workers train."""
    is_over = threading.Event()

    def take() -> None:
        for event in ray.get(queue.take.remote()):
            on_event(event)

    def keep_taking() -> None:
        while not is_over.wait(POLL_EVERY_S):
            take()

    thread = threading.Thread(target=keep_taking, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        take()


def cause(error: BaseException) -> str:
    """Give the last line of what a worker, or else Ray itself, says went wrong."""
    failures = getattr(error, "worker_failures", None) or {}
    first = next(iter(failures.values()), error)
    lines = [line.strip() for line in str(first).splitlines() if line.strip()]
    return lines[-1] if lines else type(first).__name__


def _train_in_worker(work: _Work) -> None:
    runs, queue = work["runs"], work["queue"]
    worker = _worker_context(runs[0].settings)

    def post(event: EpochEvent) -> None:
        if worker.is_first:
            queue.post.remote(event)

    for run in runs:
        try:
            train_run(run, work["store"], worker, post)
        except TrainingError as error:  # the same on all workers, and again the next time
            if worker.is_first:
                ray.get(queue.fail.remote(error))
            return
    # Once: workers wait for each other and for the controller, some two seconds each time.
    ray.train.report({"networks": len(runs)})


def _worker_context(settings: Optimization) -> WorkerContext:
    """Find this worker's place in its group, and keep to it."""
    context = ray.train.get_context()
    torch.set_num_threads(max(1, int(float(os.environ.get("OMP_NUM_THREADS", "1")))))
    local_rank, local_size = context.get_local_rank(), context.get_local_world_size()
    keep_to_own_cores(local_rank, local_size, settings.cpus_per_worker)
    rank, size = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    if size == 1:
        return WorkerContext(device=device)
    wrap = ray.train.torch.prepare_model
    return WorkerContext(rank=rank, world_size=size, device=device, wrap=wrap)
