"""Run trials over a space of settings; the door to Ray Tune.

Tune's own state is pickled, so it lies in a folder that is this process's own and goes with it.
What a sweep goes on from is the values and results of its trials, which whoever calls keeps.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import ray.tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from wslabel.config.sweep import Asha, Sweep
from wslabel.errors import WslabelError
from wslabel.training.draws import Values, draw, num_trials
from wslabel.training.trainer import cause

SCORE, EPOCH, NETWORK = "score", "epoch", "network"
HEAD = "node:__internal_head__"
"""A resource that every cluster's head has: what drives a group of workers needs no CPU."""

Report = Callable[[Mapping[str, object]], None]
Trial = Callable[[Mapping[str, Any], Report], None]
"""Trains with some values of the searched keys, and reports after each epoch."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What became of one trial.

    Attributes:
        values: Values of the searched keys.
        network: Folder of its network; None where it failed.
        scores: The best score so far after each epoch.
        error: Why it failed; None where it did not.
    """

    values: Values
    network: str | None = None
    scores: tuple[float, ...] = ()
    error: str | None = None


class KeptTrials(Protocol):
    """Where the trials of one sweep are kept; what is kept first stays."""

    def values(self, number: int, draw: Callable[[], Values]) -> Values:
        """Give the values of a trial, which are drawn if they are not kept yet."""
        ...

    def result(self, number: int) -> TrialResult | None:
        """Give the result of a finished trial; None where it is not finished."""
        ...

    def keep(self, number: int, result: TrialResult) -> None:
        """Keep the result of a finished trial."""
        ...


def search(
    sweep: Sweep,
    trial: Trial,
    kept: KeptTrials,
    *,
    resources: Mapping[str, float],
    concurrent: int,
) -> list[TrialResult]:
    """Run the trials of a sweep, or those of it that are left, and give all results.

    Args:
        sweep: What is searched, and how.
        trial: Trains once.
        kept: Where values and results are kept.
        resources: What each trial reserves; without any it runs beside the workers that it starts.
        concurrent: The most trials at a time.

    Raises:
        WslabelError: Values or results could not be kept, or what is kept is not of this sweep.
    """
    left = LeftTrials(sweep, kept)
    errors = _fit(sweep, trial, left, resources, concurrent) if left.numbers else {}
    if left.failure is not None:
        raise left.failure
    return [_result(left, number, errors) for number in range(num_trials(sweep))]


def _fit(
    sweep: Sweep,
    trial: Trial,
    left: "LeftTrials",
    resources: Mapping[str, float],
    concurrent: int,
) -> dict[int, str]:
    """Run the trials that are left, and tell why some of them failed."""
    _be_quiet()
    _withhold_credentials()
    function = ray.tune.with_resources(_trainable(trial), dict(resources) or {HEAD: 0.001})
    config = ray.tune.TuneConfig(
        search_alg=left,
        scheduler=_scheduler(sweep.asha, left.results),
        num_samples=len(left.numbers),
        max_concurrent_trials=concurrent,
        reuse_actors=True,
        trial_dirname_creator=_folder,
    )
    with tempfile.TemporaryDirectory(prefix="wslabel-sweep-") as folder:
        run = ray.tune.RunConfig(
            name="sweep",
            storage_path=folder,
            verbose=0,
            failure_config=ray.tune.FailureConfig(max_failures=2),
        )
        grid = ray.tune.Tuner(function, tune_config=config, run_config=run).fit()
        failed = [result for result in grid if result.error is not None and result.config]
        return {result.config["number"]: cause(result.error) for result in failed}


def _result(left: "LeftTrials", number: int, errors: Mapping[int, str]) -> TrialResult:
    if number in left.results:
        return left.results[number]
    error = errors.get(number, "it ended without a score")
    return TrialResult(values=left.values(number), error=error)


class LeftTrials(Searcher):  # type: ignore[misc]
    """Gives Tune the trials that are not finished, in the order of their numbers.

    Attributes:
        numbers: Trials that were left at the beginning.
        results: Results of the finished trials, of earlier runs too.
        failure: Why nothing could be kept any more; None where everything is.
    """

    def __init__(self, sweep: Sweep, kept: KeptTrials) -> None:
        """See which trials are finished."""
        super().__init__(metric=SCORE, mode="max")
        self._sweep, self._kept = sweep, kept
        found = ((number, kept.result(number)) for number in range(num_trials(sweep)))
        self.results = {number: own for number, own in found if own is not None}
        self.numbers = [n for n in range(num_trials(sweep)) if n not in self.results]
        self.failure: WslabelError | None = None
        self._waiting = list(self.numbers)
        self._running: dict[str, int] = {}
        self._scores: dict[int, dict[int, float]] = {}

    def values(self, number: int) -> Values:
        """Give the values of a trial, drawn from what is finished by now if they are new."""
        finished = [
            (own.values, own.scores[-1]) for _, own in sorted(self.results.items()) if own.scores
        ]
        return self._kept.values(number, lambda: draw(self._sweep, number, finished))

    def suggest(self, trial_id: str) -> Any:
        """Give the next trial, unless another run of the sweep has finished it meanwhile."""
        try:
            while self._waiting and self.failure is None:
                number = self._waiting.pop(0)
                done = self._kept.result(number)
                if done is None:
                    self._running[trial_id] = number
                    return {"number": number, "values": dict(self.values(number))}
                self.results[number] = done
        except WslabelError as error:  # Tune would put an error of its own in its place
            self.failure = error
        return Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note the score of an epoch; a trial that was started anew tells its epochs again."""
        number = self._running[trial_id]
        if SCORE in result:
            self._scores.setdefault(number, {})[int(result[EPOCH])] = float(result[SCORE])

    def on_trial_complete(
        self,
        trial_id: str,
        result: Mapping[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - Tune's signature
    ) -> None:
        """Keep the result of a trial that ended, or that was stopped early."""
        number = self._running[trial_id]
        if error or result is None or SCORE not in result:
            return
        self.on_trial_result(trial_id, result)
        scores = tuple(score for _, score in sorted(self._scores[number].items()))
        try:
            own = TrialResult(values=self.values(number), network=result[NETWORK], scores=scores)
            self._kept.keep(number, own)
            self.results[number] = self._kept.result(number) or own
        except WslabelError as failure:  # Tune would blame the trial
            self.failure = failure

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: what a sweep goes on from is kept elsewhere."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


def _scheduler(asha: Asha | None, finished: Mapping[int, TrialResult]) -> TrialScheduler:
    """Stop bad trials early, as measured by those of earlier runs too."""
    if asha is None:
        return FIFOScheduler()
    scheduler = ASHAScheduler(
        time_attr=EPOCH,
        metric=SCORE,
        mode="max",
        max_t=10**6,
        grace_period=asha.grace_epochs,
        reduction_factor=asha.reduction,
        stop_last_trials=False,
    )
    for number, own in finished.items():
        stand_in = SimpleNamespace(trial_id=f"finished-{number}")
        scheduler.on_trial_add(None, stand_in)
        for epoch, score in enumerate(own.scores, 1):
            scheduler.on_trial_result(None, stand_in, {EPOCH: epoch, SCORE: score})
    return scheduler


def _trainable(trial: Trial) -> Callable[[dict[str, Any]], None]:
    def train(config: dict[str, Any]) -> None:
        trial(config["values"], ray.tune.report)

    return train


def _folder(trial: ray.tune.experiment.Trial) -> str:
    return f"trial-{trial.trial_id}"


def _withhold_credentials() -> None:
    """Have workers reach S3 as their node does: Ray writes into its logs what Tune hands them."""
    handed_on = class_cache.ENV_VARS_TO_PROPAGATE
    handed_on.difference_update([name for name in handed_on if name.startswith("AWS_")])


def _be_quiet() -> None:
    for name in ("ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Ours are told by the report; Tune's own table would scroll over it.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    warnings.filterwarnings("ignore", module=r"ray\.tune.*")
