"""Search any keys of a project for the network that validation likes best.

Trials share a workspace, so votes and labels that two of them have in common are made once, and a
network that is there is not trained again. A trial of one worker trains in its own process; one of
several starts them beside itself, and only as many such trials run as the cluster holds, since
otherwise each would wait for the workers of the others.
"""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from wslabel import pipeline
from wslabel.config.fingerprint import fingerprint
from wslabel.config.sweep import Sweep, load_sweep
from wslabel.config.training import Training
from wslabel.config.yaml_file import changed, dump
from wslabel.engine.execute import connect
from wslabel.engine.plan import Resources
from wslabel.errors import ClusterTooSmall, ConfigError, TrainingError
from wslabel.experiments import sweep_page
from wslabel.experiments.sweep_files import SweepFiles, values_of
from wslabel.experiments.sweep_trials import SweepTrial, SweepTrials
from wslabel.experiments.train_trial import TrainTrial
from wslabel.project.loading import build
from wslabel.project.project import Project
from wslabel.report.evaluation import Performance
from wslabel.report.page import render
from wslabel.report.presentation import Presentation
from wslabel.stages.evaluate import EvaluateResult
from wslabel.stages.result import StageResult
from wslabel.storage.location import Location
from wslabel.training.tuner import TrialResult, search
from wslabel.workspace.workspace import Workspace

Raw = Mapping[str, Any]
"""What a project file says."""

Shards = tuple[int, ...]
"""Shards of images that a sweep is about."""


@dataclass(frozen=True, kw_only=True)
class SweepResult(StageResult):
    """Trials of a sweep.

    Attributes:
        trials: What was found.
        best_project: Project file that was written for the best trial.
        page: Address of the page that shows them; None where some failed and will be tried again.
        settings: What the sweep file says.
        project: Project that was searched.
    """

    stage: ClassVar[str] = "sweep"
    trials: SweepTrials
    best_project: str
    page: str | None
    settings: Sweep
    project: Project

    def presentation(self) -> Presentation:
        """Lay the trials out."""
        return sweep_page.presentation(self.project, self.settings, self.trials)

    @property
    def notes(self) -> tuple[str, ...]:
        """Say where the best one and the page are."""
        best = f"the best as a project: wslabel run {self.best_project}"
        failed = self.trials.num_failed
        again = (f"{failed} trials failed; the same command tries them again",) if failed else ()
        page = () if self.page is None else (f"report: {self.page}",)
        return (best, *again, *page)


def sweep(path: str | Path) -> SweepResult:
    """Run the trials of a sweep file, or what is left of them, and judge the best on test.

    Raises:
        ConfigError: A trial would be no valid project.
        ClusterTooSmall: No trial fits the cluster.
        TrainingError: Every trial failed.
    """
    start = time.monotonic()
    settings, file, raw = load_sweep(path)
    raw = changed(file, raw, settings.fixed)
    project = _check(settings, file, raw)
    # So that the score is that of the network which is kept.
    raw = changed(file, raw, {"training.select_by": settings.metric})
    pipeline.run_stage(project, "ingest")  # once: what comes later is for the next sweep
    for tried in _each_value(settings, file, raw):
        pipeline.preflight(Workspace(tried))
    workspace = Workspace(project)
    shards = tuple(workspace.shards)
    identity = fingerprint(settings, raw, shards, _prepare(settings, file, raw, shards))
    name = f"reports/sweep-{identity}"
    made = 0
    if workspace.location.exists(f"{name}.json"):
        trials = workspace.read_json(f"{name}.json", partial(_kept, settings))
    else:
        results = _search(settings, file, raw, shards, identity)
        made, trials = len(results), _trials(settings, file, raw, shards, results)
        if not trials.num_failed:  # or they are tried again
            page = render(sweep_page.presentation(project, settings, trials))
            workspace.location.create(f"{name}.html", page.encode())
            workspace.write_json(f"{name}.json", trials.to_json())
    best = file.parent / f"{Path(path).stem}-best.yaml"
    _write_best(best, Path(path), changed(file, raw, trials.best))
    has_page = workspace.location.exists(f"{name}.html")
    return SweepResult(
        made=made,
        total=len(trials.trials),
        seconds=time.monotonic() - start,
        trials=trials,
        best_project=str(best),
        page=workspace.location.uri(f"{name}.html") if has_page else None,
        settings=settings,
        project=project,
    )


def _kept(settings: Sweep, data: Any) -> SweepTrials:
    """Take what an earlier run found; its best values become a project file, so they are looked at.

    Raises:
        ValueError: It is not of this sweep.
    """
    trials = SweepTrials.from_json(data)
    if not trials.trials:
        raise ValueError("no trials")
    for trial in trials.trials:
        values_of(settings, trial.values)
    return trials


def _check(settings: Sweep, file: Path, raw: Raw) -> Project:
    """Build the project of every value of every key, so that what is wrong is refused at once."""
    for project in _each_value(settings, file, raw):
        training = _one_network(file, project)
    if settings.asha and training.most_workers > 1:
        raise ConfigError(
            "asha: trials of several workers cannot be stopped early; write asha: null, or fix "
            "training.workers: 1"
        )
    return project


def _each_value(settings: Sweep, file: Path, raw: Raw) -> Iterator[Project]:
    """Build a project with each value of each key, beside the first ones of the other keys."""
    first = {key: _values(settings, key)[0] for key in settings.search}
    for key in settings.search:
        for value in _values(settings, key):
            yield build(file, changed(file, raw, first | {key: value}))


def _values(settings: Sweep, key: str) -> list[Any]:
    dimension = settings.search[key]
    if dimension.values is not None:
        return dimension.values
    assert dimension.ends is not None
    return list(dimension.ends)


def _one_network(file: Path, project: Project) -> Training:
    training = project.training
    if training is None:
        raise ConfigError(f"{file}: training: is missing; a sweep trains one network per trial")
    if len(training.names) != 1:
        raise ConfigError(
            f"{file}: training.labels: a sweep trains one network per trial, found "
            f"{', '.join(training.names)}; fix or search training.labels, and fix "
            "training.variants: {}"
        )
    if training.validate_on is None:
        raise ConfigError(
            f"{file}: training.validate_on: a sweep chooses by validation; fix it to truth or weak"
        )
    return training.variant(training.names[0])


def _prepare(settings: Sweep, file: Path, raw: Raw, shards: Shards) -> list[str]:
    """Make what trials have in common before they start, while the whole cluster is free.

    Gives what all of it is known by: the names of networks, which hang on it.
    """
    known, options = list[str](), pipeline.Options(shards=shards)
    finite = [key for key in settings.upstream if settings.search[key].values is not None]
    values = [_values(settings, key) for key in finite]
    others = {key: _values(settings, key)[0] for key in settings.search if key not in finite}
    for combination in itertools.product(*values):
        chosen = others | dict(zip(finite, combination, strict=True))
        project = build(file, changed(file, raw, chosen))
        for _ in pipeline.run(project, first="featurize", until="pretrain", options=options):
            pass
        networks = Workspace(project, shards=shards).networks
        known += [network.folder for network in networks.values()]
    return known


def _search(
    settings: Sweep, file: Path, raw: Raw, shards: Shards, identity: str
) -> list[TrialResult]:
    first = {key: _values(settings, key)[0] for key in settings.search}
    project = build(file, changed(file, raw, first))
    training = _one_network(file, project)
    resources, concurrent = share(training, connect(), settings.concurrent)
    kept = SweepFiles(Location(project.workspace, project.s3), f"sweeps/{identity}", settings)
    # Tune changes the working folder, so paths are made absolute.
    trial = TrainTrial(file=file.resolve(), raw=raw, shards=shards, metric=settings.metric)
    return search(settings, trial, kept, resources=resources, concurrent=concurrent)


def share(training: Training, cluster: Resources, most: int | None) -> tuple[dict[str, float], int]:
    """Say what each trial reserves, and how many run at once.

    A trial of several workers reserves nothing itself: its workers do, and so many trials run at
    once as have room for all of theirs.

    Raises:
        ClusterTooSmall: There is no room for one.
    """
    each = {"CPU": training.cpus_per_worker}
    each |= {"GPU": training.gpus_per_worker} if training.use_gpu else {}
    workers = cluster.room(each["CPU"], each.get("GPU", 0.0))
    if workers < training.least_workers:
        needs = " and ".join(f"{need:g} {unit}s" for unit, need in each.items())
        raise ClusterTooSmall(
            f"sweep: a trial needs {training.least_workers} workers of {needs}, {workers} find "
            f"room: the cluster has {cluster}"
        )
    fitting = max(1, workers // training.most_workers)  # or one, of fewer than it might have
    concurrent = min(fitting, most or fitting)
    return (each if training.most_workers == 1 else {}), concurrent


def _trials(
    settings: Sweep, file: Path, raw: Raw, shards: Shards, results: Sequence[TrialResult]
) -> SweepTrials:
    """Sort trials by their score and judge the best on test, and no other."""
    trials = [
        SweepTrial(
            values=result.values,
            score=result.scores[-1] if result.scores else None,
            epochs=len(result.scores) or None,
            network=result.network,
            error=result.error,
        )
        for result in results
    ]
    lowest = -float("inf")
    trials.sort(key=lambda trial: lowest if trial.score is None else trial.score, reverse=True)
    if not trials or trials[0].score is None:
        first = next((trial.error for trial in trials if trial.error), "none was run")
        raise TrainingError(f"sweep: every trial failed: {first}")
    best = build(file, changed(file, raw, trials[0].values))
    return SweepTrials(metric=settings.metric, trials=tuple(trials), test=_tested(best, shards))


def _tested(project: Project, shards: Shards) -> Performance:
    options = pipeline.Options(shards=shards)
    (*_, result) = pipeline.run(project, first="vote", until="evaluate", options=options)
    assert isinstance(result, EvaluateResult)
    (performance,) = result.evaluation.networks.values()
    return performance


def _write_best(path: Path, sweep_file: Path, raw: Raw) -> None:
    """Write the winner beside the project file, so that its relative paths stay right."""
    head = f"# The best trial of {sweep_file.name}; written anew by each run of it.\n"
    path.write_text(head + dump(raw), encoding="utf-8")
