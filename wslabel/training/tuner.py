"""Run trials over a space of settings; the door to Ray Tune."""

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs
import ray.tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import BasicVariantGenerator, SearchAlgorithm, Searcher
from ray.tune.search.optuna import OptunaSearch

from wslabel.config.sweep import Asha, Dimension, Sweep
from wslabel.training.trainer import cause

SCORE, EPOCH = "score", "epoch"
HEAD = "node:__internal_head__"
"""A resource that every cluster's head has: what drives a group of workers needs no CPU."""

Report = Callable[[Mapping[str, object]], None]
Trial = Callable[[Mapping[str, Any], Report], None]
"""Trains with some values of the searched keys, and reports after each epoch."""


@dataclass(frozen=True)
class SweepStorage:
    """Where Tune keeps what it knows of a sweep, so that it goes on after a crash.

    Attributes:
        filesystem: Disk or S3.
        folder: Folder of all sweeps.
        name: Name of the sweep.
    """

    filesystem: pafs.FileSystem
    folder: str
    name: str

    @property
    def path(self) -> str:
        """Spell the folder of the sweep."""
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True)
class TrialResult:
    """What became of one trial.

    Attributes:
        values: Values of the searched keys.
        report: What it reported last.
        error: Why it failed; None where it did not.
    """

    values: dict[str, Any]
    report: dict[str, Any]
    error: str | None


def search(
    sweep: Sweep,
    trial: Trial,
    storage: SweepStorage,
    *,
    resources: Mapping[str, float],
    concurrent: int,
) -> list[TrialResult]:
    """Run the trials of a sweep, or those of it that are left, and give all results.

    Args:
        sweep: What is searched, and how.
        trial: Trains once.
        storage: Where Tune keeps its state.
        resources: What each trial reserves; without any it runs beside the workers that it starts.
        concurrent: The most trials at a time.
    """
    _be_quiet()
    function = ray.tune.with_resources(_trainable(trial), dict(resources) or {HEAD: 0.001})
    if ray.tune.Tuner.can_restore(storage.path, storage_filesystem=storage.filesystem):
        tuner = ray.tune.Tuner.restore(
            storage.path,
            function,
            resume_unfinished=True,
            restart_errored=True,
            storage_filesystem=storage.filesystem,
        )
    else:
        tuner = _tuner(sweep, function, storage, concurrent)
    return [_trial_result(result) for result in tuner.fit()]


def _trial_result(result: ray.tune.Result) -> TrialResult:
    error = None if result.error is None else cause(result.error)
    return TrialResult(dict(result.config or {}), dict(result.metrics or {}), error)


def _tuner(
    sweep: Sweep, function: Callable[..., None], storage: SweepStorage, concurrent: int
) -> ray.tune.Tuner:
    return ray.tune.Tuner(
        function,
        param_space={key: _domain(dimension) for key, dimension in sweep.search.items()},
        tune_config=ray.tune.TuneConfig(
            search_alg=_algorithm(sweep),
            scheduler=_scheduler(sweep.asha),
            num_samples=1 if sweep.method == "grid" else sweep.trials,
            max_concurrent_trials=concurrent,
            reuse_actors=True,
            trial_dirname_creator=_folder,
        ),
        run_config=ray.tune.RunConfig(
            name=storage.name,
            storage_path=storage.folder,
            storage_filesystem=storage.filesystem,
            verbose=0,
            failure_config=ray.tune.FailureConfig(max_failures=2),
        ),
    )


def _algorithm(sweep: Sweep) -> SearchAlgorithm | Searcher:
    if sweep.method == "optuna":
        return OptunaSearch(metric=SCORE, mode="max", seed=sweep.seed)
    return BasicVariantGenerator(random_state=sweep.seed)


def _domain(dimension: Dimension) -> object:
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


def _scheduler(asha: Asha | None) -> TrialScheduler:
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


def _folder(trial: ray.tune.experiment.Trial) -> str:
    return f"trial-{trial.trial_id}"


def _be_quiet() -> None:
    for name in ("ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Ours are told by the report; Tune's own table would scroll over it.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    warnings.filterwarnings("ignore", module=r"ray\.tune.*")
