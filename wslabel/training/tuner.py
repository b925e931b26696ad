"""Run trials over a space of settings; the door to Ray Tune."""

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs
import ray.tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from wslabel.settings import Asha, Dimension, Sweep

SCORE, EPOCH = "score", "epoch"
HEAD = "node:__internal_head__"
"""A resource that every cluster's head has: what drives a group of workers needs no CPU."""

Report = Callable[[Mapping[str, Any]], None]
Trial = Callable[[Mapping[str, Any], Report], None]
"""Trains with some values of the searched keys, and reports after each epoch."""


@dataclass(frozen=True)
class Place:
    """Where Tune keeps what it knows of a sweep, so that it goes on after a crash."""

    filesystem: pafs.FileSystem
    folder: str
    name: str

    @property
    def path(self) -> str:
        """Spell the folder of the sweep."""
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True)
class Result:
    """One trial: its values, its last report, and why it failed."""

    values: dict[str, Any]
    report: dict[str, Any]
    error: str | None


def search(
    sweep: Sweep, trial: Trial, place: Place, resources: Mapping[str, float], concurrent: int
) -> list[Result]:
    """Run the trials of a sweep, or those of it that are left, and give all results.

    Args:
        sweep: what is searched, and how.
        trial: trains once.
        place: where Tune keeps its state.
        resources: of each trial; of none of its own it runs beside those that it starts.
        concurrent: the most trials at a time.
    """
    _be_quiet()
    function = ray.tune.with_resources(_trainable(trial), dict(resources) or {HEAD: 0.001})
    can_restore = ray.tune.Tuner.can_restore(place.path, storage_filesystem=place.filesystem)
    if can_restore:
        tuner = ray.tune.Tuner.restore(
            place.path,
            function,
            resume_unfinished=True,
            restart_errored=True,
            storage_filesystem=place.filesystem,
        )
    else:
        tuner = _tuner(sweep, function, place, concurrent)
    found = []
    for result in tuner.fit():
        error = None if result.error is None else _cause(result.error)
        found.append(Result(dict(result.config or {}), dict(result.metrics or {}), error))
    return found


def _tuner(sweep: Sweep, function: Any, place: Place, concurrent: int) -> ray.tune.Tuner:
    space = {key: _domain(dimension) for key, dimension in sweep.search.items()}
    algorithm: Any = BasicVariantGenerator(random_state=sweep.seed)
    if sweep.method == "optuna":
        algorithm = OptunaSearch(metric=SCORE, mode="max", seed=sweep.seed)
    return ray.tune.Tuner(
        function,
        param_space=space,
        tune_config=ray.tune.TuneConfig(
            search_alg=algorithm,
            scheduler=_scheduler(sweep.asha),
            num_samples=1 if sweep.method == "grid" else sweep.trials,
            max_concurrent_trials=concurrent,
            reuse_actors=True,
            trial_dirname_creator=_folder,
        ),
        run_config=ray.tune.RunConfig(
            name=place.name,
            storage_path=place.folder,
            storage_filesystem=place.filesystem,
            verbose=0,
            failure_config=ray.tune.FailureConfig(max_failures=2),
        ),
    )


def _domain(dimension: Dimension) -> Any:
    if dimension.grid is not None:
        return ray.tune.grid_search(dimension.grid)
    if dimension.choice is not None:
        return ray.tune.choice(dimension.choice)
    if dimension.integer is not None:
        return ray.tune.randint(dimension.integer[0], dimension.integer[1] + 1)
    if dimension.uniform is not None:
        return ray.tune.uniform(*dimension.uniform)
    assert dimension.log_uniform is not None
    return ray.tune.loguniform(*dimension.log_uniform)


def _scheduler(asha: Asha | None) -> Any:
    if asha is None:
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr=EPOCH,
        metric=SCORE,
        mode="max",
        max_t=10**6,
        grace_period=asha.grace_epochs,
        reduction_factor=asha.reduction,
        stop_last_trials=False,
    )


def _trainable(trial: Trial) -> Callable[[dict[str, Any]], None]:
    def train(values: dict[str, Any]) -> None:
        trial(values, ray.tune.report)

    return train


def _folder(trial: Any) -> str:
    return f"trial-{trial.trial_id}"


def _cause(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _be_quiet() -> None:
    for name in ("ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Ours are told by the report; Tune's own table would scroll over it.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    warnings.filterwarnings("ignore", module=r"ray\.tune.*")
