"""Small examples and networks for tests of training."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from wslabel.config.training import Training
from wslabel.examples.sampler import assign_batches
from wslabel.training.batch import Batch
from wslabel.training.run import Run
from wslabel.training.supervised import Supervised
from wslabel.training.worker_context import WorkerContext


@dataclass(frozen=True)
class Arrays:
    """Examples from memory, in the same batches however many workers share them."""

    inputs: np.ndarray
    targets: np.ndarray
    batch_size: int
    weights: np.ndarray | None = None
    other: np.ndarray | None = None

    def __call__(self, epoch: int, rank: int, world_size: int, first: int = 0) -> Iterator[Batch]:
        weights = np.ones(len(self.inputs), np.float32) if self.weights is None else self.weights
        rng = np.random.default_rng(epoch)
        order = rng.permutation(len(self.inputs))
        assignment = assign_batches(len(self.inputs), self.batch_size, rng)
        for number in range(first, assignment.num_batches):
            parts = [order[assignment.part(number, r, world_size)] for r in range(world_size)]
            rows = order[assignment.seen(number, rank, world_size)]
            mine = weights[rows] * (len(parts[rank]) > 0)
            total = sum(float(weights[part].sum()) for part in parts)
            other = None if self.other is None else self.other[rows]
            sizes = tuple(len(part) for part in parts)
            yield Batch(
                inputs=self.inputs[rows],
                targets_NK=self.targets[rows],
                weights_N=mine,
                total=total,
                sizes=sizes,
                other=other,
            )


def blobs(size: int, batch_size: int, seed: int = 0) -> Arrays:
    """Make two clouds of points that a line separates, with soft targets."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 2, size)
    inputs = rng.normal(0, 0.5, (size, 3)) + np.where(ids, 2.0, -2.0)[:, None]
    soft = np.where(ids[:, None] == np.arange(2), 0.8, 0.2)
    return Arrays(inputs.astype(np.float32), soft.astype(np.float32), batch_size)


def pictures(size: int, batch_size: int, seed: int = 0, **more: Any) -> Arrays:
    """Make uint8 images, dark or bright, with labels that say which."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 2, size)
    inputs = rng.integers(0, 128, (size, 8, 8, 3)) + 100 * ids[:, None, None, None]
    targets = np.eye(2, dtype=np.float32)[ids]
    return Arrays(inputs.astype(np.uint8), targets, batch_size, **more)


def linear() -> torch.nn.Module:
    return torch.nn.Linear(3, 2)


def a_training(**changes: Any) -> Training:
    base = {"feature": "x", "labels": "soft", "epochs": 3, "learning_rate": 0.05, "seed": 11}
    return Training.model_validate(base | changes)


def a_run(**changes: Any) -> Run:
    settings = a_training(**changes.pop("settings", {}))
    run = Run(
        name="toy",
        folder="models/toy",
        build=linear,
        settings=settings,
        objective=Supervised(settings),
        train=blobs(50, 16),
    )
    return replace(run, **changes)


Work = Callable[[WorkerContext, str], None]


def wrapped(module: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.parallel.DistributedDataParallel(module)


def _member(rank: int, port: int, work: Work, folder: str) -> None:
    torch.set_num_threads(1)
    where = f"tcp://127.0.0.1:{port}"
    patience = timedelta(seconds=60)  # who waits for the other in vain ends
    dist.init_process_group("gloo", rank=rank, world_size=2, init_method=where, timeout=patience)
    work(WorkerContext(rank=rank, world_size=2, wrap=wrapped), folder)
    dist.destroy_process_group()


def in_a_group_of_two(work: Work, folder: str) -> None:
    """Let two processes do some work together; what they find they leave in the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    mp.spawn(_member, (port, work, folder), nprocs=2)
