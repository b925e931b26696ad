"""Tune is given the trials that are left, and judges them beside those that are finished."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from wslabel.config.sweep import Asha, Sweep
from wslabel.errors import StorageError
from wslabel.training.tuner import LeftTrials, TrialResult, _scheduler, _withhold_credentials

Values = Mapping[str, Any]
KEY = "training.label_smoothing"


class Shelf:
    """Keeps trials in this process, the first that is kept."""

    def __init__(self) -> None:
        self.drawn: dict[int, Values] = {}
        self.results: dict[int, TrialResult] = {}

    def values(self, number: int, draw: Callable[[], Values]) -> Values:
        if number not in self.drawn:
            self.drawn[number] = draw()
        return self.drawn[number]

    def result(self, number: int) -> TrialResult | None:
        return self.results.get(number)

    def keep(self, number: int, result: TrialResult) -> None:
        self.results.setdefault(number, result)


class FullShelf(Shelf):
    """Takes nothing."""

    def values(self, number: int, draw: Callable[[], Values]) -> Values:
        raise StorageError("the disk is full")


def a_sweep(**how: Any) -> Sweep:
    search = {KEY: {"uniform": [0.0, 0.5]}}
    return Sweep.model_validate({"project": "p.yaml", "search": search, "trials": 6} | how)


def told(epoch: int, score: float) -> dict[str, Any]:
    return {"epoch": epoch, "score": score, "network": "models/x"}


def run_trials(left: LeftTrials, most: int) -> None:
    """Do what Tune does, with trials that are the better the nearer to 0.2 their value is."""
    for number in range(most):
        given = left.suggest(f"t{number}")
        if given == Searcher.FINISHED:
            return
        score = -abs(given["values"][KEY] - 0.2)
        left.on_trial_result(f"t{number}", told(1, score - 1))
        left.on_trial_complete(f"t{number}", told(2, score))


def test_a_sweep_that_was_stopped_anywhere_comes_to_the_same() -> None:
    for method in ("random", "optuna"):
        sweep, whole = a_sweep(method=method, trials=14), Shelf()
        run_trials(LeftTrials(sweep, whole), 99)
        assert len(whole.results) == 14
        for stopped_after in (1, 11, 13):
            shelf = Shelf()
            run_trials(LeftTrials(sweep, shelf), stopped_after)
            again = LeftTrials(sweep, shelf)
            again.suggest("killed while it ran")  # its values are kept, and no result
            run_trials(LeftTrials(sweep, shelf), 99)
            assert shelf.results == whole.results
            assert list(shelf.drawn) == sorted(shelf.drawn)


def test_a_trial_that_is_stopped_early_is_finished() -> None:
    shelf = Shelf()
    left = LeftTrials(a_sweep(method="random"), shelf)
    left.suggest("t")
    left.on_trial_complete("t", told(1, 0.5))
    assert shelf.results[0].scores == (0.5,)
    assert left.results[0].network == "models/x"


def test_a_trial_that_failed_or_told_nothing_is_left() -> None:
    shelf = Shelf()
    left = LeftTrials(a_sweep(method="random"), shelf)
    for name in ("a", "b", "c"):
        left.suggest(name)
    left.on_trial_result("a", told(1, 0.5))
    left.on_trial_complete("a", error=True)
    left.on_trial_complete("b", {"done": True})
    left.on_trial_complete("c", told(1, 0.5))
    assert list(shelf.results) == [2]
    assert LeftTrials(a_sweep(method="random"), shelf).numbers == [0, 1, 3, 4, 5]


def test_a_trial_that_was_started_anew_tells_its_epochs_again() -> None:
    shelf = Shelf()
    left = LeftTrials(a_sweep(method="random"), shelf)
    left.suggest("t")
    for epoch, score in ((1, 0.1), (2, 0.3), (1, 0.1), (2, 0.3), (3, 0.4)):
        left.on_trial_result("t", told(epoch, score))
    left.on_trial_complete("t", told(3, 0.4))
    assert shelf.results[0].scores == (0.1, 0.3, 0.4)


def test_what_another_run_has_finished_meanwhile_is_not_run_again() -> None:
    shelf = Shelf()
    left = LeftTrials(a_sweep(method="random"), shelf)
    run_trials(LeftTrials(a_sweep(method="random"), shelf), 3)
    assert left.suggest("t")["number"] == 3
    assert sorted(left.results) == [0, 1, 2]


def test_where_nothing_can_be_kept_the_sweep_ends() -> None:
    left = LeftTrials(a_sweep(method="random"), FullShelf())
    assert left.suggest("t") == Searcher.FINISHED
    assert str(left.failure) == "the disk is full"


def test_bad_trials_are_stopped_early_only_where_it_is_asked_for() -> None:
    assert isinstance(_scheduler(None, {}), FIFOScheduler)
    assert isinstance(_scheduler(Asha(grace_epochs=2), {}), ASHAScheduler)


def decision(scheduler: TrialScheduler, epoch: int, score: float) -> str:
    trial: Any = SimpleNamespace(trial_id="new")
    controller: Any = None
    scheduler.on_trial_add(controller, trial)
    return scheduler.on_trial_result(controller, trial, told(epoch, score))


def test_trials_of_earlier_runs_are_what_a_trial_is_measured_by() -> None:
    finished = {
        number: TrialResult(values={}, network="models/x", scores=(score, score + 1))
        for number, score in enumerate((0.1, 0.2, 0.3))
    }
    asha = Asha(grace_epochs=1, reduction=2)
    assert decision(_scheduler(asha, {}), 1, 0.15) == TrialScheduler.CONTINUE
    assert decision(_scheduler(asha, finished), 1, 0.15) == TrialScheduler.STOP
    assert decision(_scheduler(asha, finished), 1, 0.25) == TrialScheduler.CONTINUE
    assert decision(_scheduler(asha, finished), 2, 0.25) == TrialScheduler.STOP


def test_no_credentials_are_handed_to_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray logs the environment that it gives a worker."""
    for name in ("ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "SECURITY_TOKEN", "ACCESS_KEY_ID"):
        monkeypatch.setenv(f"AWS_{name}", "PLANTED")
    _withhold_credentials()
    actor = _ActorClassCache().get(type("Trainable", (), {}))
    assert "PLANTED" not in str(actor._default_options)
    assert actor._default_options["runtime_env"]["env_vars"]
