"""Search any keys of a project for the network that validation likes best.

Trials share a workspace, so votes and labels that two of them have in common are made once, and a
network that is there is not trained again. A trial of one worker trains in its own process; one of
several starts them beside itself, and only as many such trials run as the cluster holds, since
otherwise each would wait for the workers of the others.
"""

import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wslabel import pipeline
from wslabel.config import build, changed, dump, fingerprint, load_sweep
from wslabel.engine.cluster import Resources, connect
from wslabel.errors import ClusterTooSmall, ConfigError, TrainingError
from wslabel.pipeline import Outcome, with_labels
from wslabel.report.charts import Dots, dots, parallel
from wslabel.report.page import Chart, Grid, Page, Section, render
from wslabel.settings import Project, Sweep, Training
from wslabel.steps import doors
from wslabel.steps.networks import check_start
from wslabel.steps.tables import Network, Tables
from wslabel.steps.train import CARD, ModelHome, training_run
from wslabel.storage.location import Location

LOCAL_GROUPS = 10**9
"""Groups that a trial votes on and labels in its own process: on tasks it might wait for itself."""


def sweep(path: str | Path) -> Outcome:
    """Run the trials of a sweep file, or what is left of them, and judge the best on test.

    Raises:
        ConfigError: a trial would be no valid project.
        ClusterTooSmall: no trial fits the cluster.
        TrainingError: every trial failed.
    """
    start = time.monotonic()
    settings, file, raw = load_sweep(path)
    raw = changed(file, raw, settings.fixed)
    project = _check(settings, file, raw)
    # So that the score is that of the network which is kept.
    raw = changed(file, raw, {"training.select_by": settings.metric})
    location = Location(project.workspace, project.s3)
    identity = fingerprint(settings, raw, _prepare(settings, file, raw))
    name = f"reports/sweep-{identity}"
    made = 0
    if location.exists(f"{name}.json"):
        found = json.loads(location.read(f"{name}.json").to_pybytes())
    else:
        results = _search(settings, file, raw, identity)
        found = _found(settings, file, raw, results)
        made = len(results)
        if not any(trial["error"] for trial in found["trials"]):  # or they are tried again
            location.create(f"{name}.html", render(_page(project, settings, found)).encode())
            location.create(f"{name}.json", json.dumps(found, sort_keys=True, indent=1).encode())
    best = file.parent / f"{Path(path).stem}-best.yaml"
    _write_best(best, Path(path), changed(file, raw, found["best"]))
    report = found | {"table": _table(settings, found)}
    if location.exists(f"{name}.html"):
        report["page"] = location.uri(f"{name}.html")
    report["notes"] = [_test_note(found), f"the best as a project: wslabel run {best}"]
    report["notes"] += _doubts(settings, project, found)
    seconds = time.monotonic() - start
    return Outcome("sweep", made, len(found["trials"]), seconds=seconds, report=report)


def _doubts(settings: Sweep, project: Project, found: Mapping[str, Any]) -> list[str]:
    """Say what should keep the reader from trusting the table as it stands."""
    notes = []
    failed = sum(trial["error"] is not None for trial in found["trials"])
    if failed:
        notes.append(f"{failed} trials failed; the same command tries them again")
    assert project.training is not None
    judges = [key for key in settings.upstream if not key.startswith("pretraining.")]
    if judges and project.training.validate_on == "weak":
        notes.append(
            f"{', '.join(judges)} changes the weak labels that validation judges by, so trials are "
            "measured with different rulers; training.validate_on: truth measures all with one"
        )
    return notes


def _check(settings: Sweep, file: Path, raw: Mapping[str, Any]) -> Project:
    """Build the project of every value of every key, so that what is wrong is refused at once."""
    first = {key: _values(settings, key)[0] for key in settings.search}
    for key in settings.search:
        for value in _values(settings, key):
            project = build(file, changed(file, raw, first | {key: value}))
            how = _one_network(file, project)
    if settings.asha and how.most_workers > 1:
        raise ConfigError(
            "asha: trials of several workers cannot be stopped early; write asha: null, or fix "
            "training.workers: 1"
        )
    return project


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


def _prepare(settings: Sweep, file: Path, raw: Mapping[str, Any]) -> list[Any]:
    """Make what trials have in common before they start, while the whole cluster is free.

    Gives what all of it is known by: shards of images, and networks that hang on the rest.
    """
    known: list[Any] = []
    finite = [key for key in settings.upstream if settings.search[key].values is not None]
    values = [_values(settings, key) for key in finite]
    others = {k: _values(settings, k)[0] for k in settings.search if k not in finite}
    for combination in itertools.product(*values):
        values_ = others | dict(zip(finite, combination, strict=True))
        project = build(file, changed(file, raw, values_))
        for _ in pipeline.run(project, until="pretrain"):
            pass
        tables = with_labels(project)
        known.append([tables.shards, *(n.folder for n in tables.networks.values())])
    return known


@dataclass(frozen=True)
class _Trial:
    """Trains once, in the process of a trial, from what the project file said on the driver."""

    file: Path
    raw: Mapping[str, Any]
    metric: str

    def __call__(self, values: Mapping[str, Any], report: Any) -> None:
        project = build(self.file, changed(self.file, self.raw, values))
        engine = project.engine.model_copy(update={"driver_groups": LOCAL_GROUPS})
        project = project.model_copy(update={"engine": engine})
        for _ in pipeline.run(project, until="label"):
            pass
        tables = with_labels(project)
        (network,) = tables.networks.values()
        if not tables.location.exists(network.file):
            self._train(tables, network, _Scores(self.metric, network.folder, report))
            return
        # Trained before the driver stopped, or by a trial that comes to the same.
        card = json.loads(tables.location.read(f"{network.folder}/{CARD}").to_pybytes())
        scores = _Scores(self.metric, network.folder, report)
        for record in card["history"]:
            scores.tell(record)

    def _train(self, tables: Tables, network: Network, scores: "_Scores") -> None:
        trainer = doors.room("training.trainer")
        run, home = training_run(tables, network), ModelHome(tables.location)
        check_start(run.how, run.make, tables.project.s3)
        if network.how.most_workers > 1:
            trainer.train([run], home, scores.hear)
        else:
            trainer.train_here(run, home, trainer.alone(run.how), scores.hear)


class _Scores:
    """Reports the best score so far after each epoch."""

    def __init__(self, metric: str, folder: str, report: Any) -> None:
        self._metric, self._folder, self._report = metric, folder, report
        self._best: float | None = None

    def hear(self, news: Any) -> None:
        for record in news.earlier or (news.record,):
            self.tell(record)

    def tell(self, record: Mapping[str, float]) -> None:
        value = record[f"validation_{self._metric}"]
        score = -value if self._metric == "loss" else value
        self._best = score if self._best is None else max(self._best, score)
        own = {"score": self._best, "epoch": int(record["epoch"]), "network": self._folder}
        self._report(dict(record) | own)


def _search(settings: Sweep, file: Path, raw: Mapping[str, Any], identity: str) -> list[Any]:
    tuner = doors.room("training.tuner")
    project = build(file, changed(file, raw, {k: _values(settings, k)[0] for k in settings.search}))
    how = _one_network(file, project)
    resources, concurrent = share(how, connect(project.engine), settings.concurrent)
    location = Location(project.workspace, project.s3)
    place = tuner.Place(location.filesystem, location.base_of("sweeps"), identity)
    trial = _Trial(file.resolve(), raw, settings.metric)  # Tune changes the working folder
    found: list[Any] = tuner.search(settings, trial, place, resources, concurrent)
    return found


def share(how: Training, cluster: Resources, most: int | None) -> tuple[dict[str, float], int]:
    """Say what each trial reserves, and how many run at once.

    A trial of several workers reserves nothing itself: its workers do, and so many trials run at
    once as have room for all of theirs.

    Raises:
        ClusterTooSmall: there is no room for one.
    """
    each = {"CPU": how.cpus_per_worker} | ({"GPU": how.gpus_per_worker} if how.use_gpu else {})
    has = {"CPU": cluster.cpus, "GPU": cluster.gpus}
    fitting = min(int(has[unit] / (need * how.most_workers)) for unit, need in each.items())
    if not fitting and all(has[unit] >= need * how.least_workers for unit, need in each.items()):
        fitting = 1  # of fewer workers than it might have
    if not fitting:
        needs = ", ".join(f"{need * how.least_workers:g} {unit}s" for unit, need in each.items())
        owns = ", ".join(f"{has[unit]:g} {unit}s" for unit in each)
        raise ClusterTooSmall(f"sweep: a trial needs {needs}, the cluster has {owns}")
    concurrent = min(fitting, most or fitting)
    return (each if how.most_workers == 1 else {}), concurrent


def _found(
    settings: Sweep, file: Path, raw: Mapping[str, Any], results: list[Any]
) -> dict[str, Any]:
    """Sort trials by their score and judge the best on test, and no other."""
    trials = [
        {
            "values": result.values,
            "score": result.report.get("score"),
            "epochs": result.report.get("epoch"),
            "network": result.report.get("network"),
            "error": result.error,
        }
        for result in results
    ]
    trials.sort(key=lambda trial: -float("inf") if trial["score"] is None else -trial["score"])
    trials.sort(key=lambda trial: trial["score"] is None)
    if not trials or trials[0]["score"] is None:
        first = next((trial["error"] for trial in trials if trial["error"]), "none was run")
        raise TrainingError(f"sweep: every trial failed: {first}")
    best = trials[0]["values"]
    project = build(file, changed(file, raw, best))
    outcomes = {outcome.stage: outcome for outcome in pipeline.run(project, until="evaluate")}
    (judged,) = outcomes["evaluate"].report["networks"].values()
    return {"metric": settings.metric, "trials": trials, "best": best, "test": judged["test"]}


def _table(settings: Sweep, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for trial in found["trials"]:
        score = trial["score"]
        shown = -score if score is not None and found["metric"] == "loss" else score
        row: dict[str, Any] = {k: _plain(trial["values"].get(k)) for k in settings.search}
        row |= {f"validation {found['metric']}": shown, "epochs": trial["epochs"]}
        if any(other["error"] for other in found["trials"]):
            row["error"] = trial["error"] or ""
        rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:g}"
    return value if value is None or isinstance(value, int | str) else json.dumps(value)


def _test_note(found: Mapping[str, Any]) -> str:
    test = found["test"]
    if not test["num_images"]:
        return "no image of the test split has a truth: validation alone has judged the best"
    area = "-" if test["roc_auc"] is None else f"{test['roc_auc']:.4f}"
    return f"the best on the test split: accuracy {test['accuracy']:.4f}, ROC-AUC {area}"


def _write_best(path: Path, sweep_file: Path, raw: Mapping[str, Any]) -> None:
    """Write the winner beside the project file, so that its relative paths stay right."""
    head = f"# The best trial of {sweep_file.name}; written anew by each run of it.\n"
    path.write_text(head + dump(raw), encoding="utf-8")


def _page(project: Project, settings: Sweep, found: Mapping[str, Any]) -> Page:
    rows = _table(settings, found)
    cells = [["-" if v is None else _shown(v) for v in row.values()] for row in rows]
    done = [trial for trial in found["trials"] if trial["score"] is not None]
    scores = [abs(trial["score"]) for trial in done]
    axes = {key: [trial["values"].get(key) for trial in done] for key in settings.search}
    name = f"validation {found['metric']}"
    charts = [
        Chart(
            "All keys", parallel(axes | {name: scores}, "trials"), "A line per trial.", is_wide=True
        )
    ]
    for key, values in axes.items():
        groups: dict[str, list[float]] = {}
        for value, score in zip(values, scores, strict=True):
            groups.setdefault(str(_shown(_plain(value))), []).append(score)
        by_value = [Dots(v, s, sum(s) / len(s)) for v, s in sorted(groups.items())]
        charts.append(Chart(key, dots(by_value, key), f"{name} by value."))
    note = f"{len(rows)} trials, sorted by {name}; test truth judges the best alone."
    section = Section("Trials", note, [Grid(list(rows[0]), cells)], charts)
    test = found["test"]
    accuracy = f"{test['accuracy']:.4f}" if test["num_images"] else "-"
    facts = [(accuracy, "test accuracy of the best")]
    title = f"{' or '.join(project.classes)}: sweep"
    return Page(title, f"Workspace {project.workspace}", facts, [section])


def _shown(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
