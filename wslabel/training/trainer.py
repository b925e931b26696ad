"""Train networks in workers of a cluster; the door to Ray Train."""

import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import ray
import ray.train
import ray.train.torch
import safetensors.torch
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from wslabel.errors import TrainingError
from wslabel.settings import Optimization
from wslabel.training.board import Board, News, Record
from wslabel.training.group import Place, total
from wslabel.training.loop import Fitted, Run, Store, fit

POLL_EVERY_S = 0.3


class Home(Protocol):
    """Where networks and their checkpoints are kept."""

    def is_done(self, run: Run) -> bool:
        """Tell whether a network is trained."""
        ...

    def store(self, run: Run) -> Store:
        """Give the place of a run's checkpoints."""
        ...

    def finish(self, run: Run, network: bytes, history: list[Record], best_epoch: int) -> None:
        """Keep a trained network and forget its checkpoints."""
        ...

    def log(self, run: Run, record: Record) -> None:
        """Note what an epoch was like, for those who watch from elsewhere."""
        ...


Hear = Callable[[News], None]


def train(runs: Sequence[Run], home: Home, hear: Hear) -> None:
    """Train networks one after another in one group of workers; each is kept when it is done.

    Args:
        runs: what to train; where they run is the same for all.
        home: keeps networks and checkpoints.
        hear: is told of each epoch, in this process.

    Raises:
        TrainingError: a worker failed more often than the settings allow.
    """
    how = runs[0].how
    # Seconds between looks at the workers; the end of a group of them is noticed by then.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    for name in ("ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Where the driver is, whose end is the end of the run anyway.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
    with tempfile.TemporaryDirectory(prefix="wslabel-train-") as folder:
        trainer = ray.train.torch.TorchTrainer(
            _work,
            train_loop_config={"runs": list(runs), "home": home, "board": board},
            scaling_config=_scaling(how),
            run_config=ray.train.RunConfig(
                name="wslabel",
                storage_path=folder,
                failure_config=ray.train.FailureConfig(max_failures=how.max_failures),
            ),
        )
        with _listening(board, hear):
            try:
                trainer.fit()
            except ray.train.TrainingFailedError as error:
                raise TrainingError(f"training failed: {_cause(error)}") from error
        failure = ray.get(board.failure.remote())
        if failure is not None:
            raise failure


def _scaling(how: Optimization) -> ray.train.ScalingConfig:
    resources = {"CPU": how.cpus_per_worker}
    if how.use_gpu:
        resources["GPU"] = how.gpus_per_worker
    return ray.train.ScalingConfig(
        num_workers=how.workers, use_gpu=how.use_gpu, resources_per_worker=resources
    )


class _listening:  # noqa: N801 - a context manager
    """Pass on news from the board while workers train."""

    def __init__(self, board: Any, hear: Hear) -> None:
        self._board, self._hear = board, hear
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._pass_on()

    def _listen(self) -> None:
        while not self._over.wait(POLL_EVERY_S):
            self._pass_on()

    def _pass_on(self) -> None:
        for news in ray.get(self._board.take.remote()):
            self._hear(news)


def _cause(error: BaseException) -> str:
    failures = getattr(error, "worker_failures", None) or {}
    first = next(iter(failures.values()), error)
    lines = [line.strip() for line in str(first).splitlines() if line.strip()]
    return lines[-1] if lines else type(first).__name__


def _work(config: dict[str, Any]) -> None:
    context = ray.train.get_context()
    size = context.get_world_size()
    wrap = _wrap if size > 1 else _leave
    place = Place(context.get_world_rank(), size, ray.train.torch.get_device(), wrap)
    torch.set_num_threads(max(1, int(float(os.environ.get("OMP_NUM_THREADS", "1")))))
    _keep_to_own_cores(context, config["runs"][0].how.cpus_per_worker)

    def post(news: News) -> None:
        if place.rank == 0:
            config["board"].post.remote(news)

    for run in config["runs"]:
        try:
            train_here(run, config["home"], place, post)
        except TrainingError as error:  # the same on all workers, and again the next time
            if place.rank == 0:
                ray.get(config["board"].fail.remote(error))
            return
    # Once: workers wait for each other and for the controller, some two seconds each time.
    ray.train.report({"networks": len(config["runs"])})


def _keep_to_own_cores(context: Any, cpus: float) -> None:
    """Let a worker of a full machine not wander: all wait for it at every exchange of a step."""
    if not hasattr(os, "sched_setaffinity"):  # only Linux has it
        return
    rank, size = context.get_local_rank(), context.get_local_world_size()
    cores = own_cores(sorted(os.sched_getaffinity(0)), rank, size, cpus)
    for thread in os.listdir("/proc/self/task"):
        with suppress(
            OSError
        ):  # it ended meanwhile, or the container forbids it: slower, not wrong
            os.sched_setaffinity(int(thread), cores)


def own_cores(cores: Sequence[int], rank: int, size: int, cpus: float) -> list[int]:
    """Choose the cores of one of a machine's workers: a share of all, if they need all of them.

    >>> own_cores([0, 1, 2, 3], rank=1, size=2, cpus=2.0)
    [2, 3]
    >>> own_cores([0, 1, 2, 3], rank=1, size=2, cpus=1.0)
    [0, 1, 2, 3]
    """
    share = len(cores) // size
    if share == 0 or size == 1 or size * cpus < len(cores):
        return list(cores)
    return list(cores[rank * share : (rank + 1) * share])


def train_all_here(runs: Sequence[Run], home: Home, hear: Hear) -> None:
    """Train networks one after another in this process, on one thread as a worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for run in runs:
            train_here(run, home, Place(), hear)
    finally:
        torch.set_num_threads(threads)


def alone(how: Optimization) -> Place:
    """Give the place of a worker that trains by itself in this process."""
    return Place(device=torch.device("cuda" if how.use_gpu else "cpu"))


def train_here(run: Run, home: Home, place: Place, hear: Hear) -> None:
    """Train a network in this process, as a member of a group or alone, unless it is trained."""
    # One worker looks for all: they must not disagree on what they train together.
    done = torch.tensor([float(place.rank == 0 and home.is_done(run))], device=place.device)
    if float(total(done, place.world_size)):
        return
    store = home.store(run)
    found = store.latest()
    if found is not None:
        earlier = tuple(found["history"])
        hear(News(run.name, run.how.epochs, earlier[-1], earlier))

    def tell(record: Record) -> None:
        if place.rank == 0:
            home.log(run, record)
        hear(News(run.name, run.how.epochs, record))

    fitted = fit(run, place, found, store, tell)
    if place.rank == 0:
        home.finish(run, serialize(fitted), fitted.history, fitted.best_epoch)


def _wrap(module: torch.nn.Module) -> torch.nn.Module:
    wrapped: torch.nn.Module = ray.train.torch.prepare_model(module)
    return wrapped


def _leave(module: torch.nn.Module) -> torch.nn.Module:
    return module


def serialize(fitted: Fitted) -> bytes:
    """Turn a trained network into a safetensors file whose metadata holds its losses."""
    # What a machine took is not what the network is: equal networks shall be equal files.
    timeless = [{k: v for k, v in r.items() if k not in TIMES} for r in fitted.history]
    # One key only: safetensors writes several in an order that differs from run to run.
    metadata = {"training": json.dumps({"history": timeless, "best_epoch": fitted.best_epoch})}
    tensors = {name: tensor.contiguous() for name, tensor in fitted.tensors.items()}
    return safetensors.torch.save(tensors, metadata)


TIMES = ("seconds", "images_per_s", "data_wait")
