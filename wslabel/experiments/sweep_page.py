"""A sweep laid out: a row per trial, the values of each key, and the best on the test split."""

from collections.abc import Iterator, Sequence

from wslabel.config.sweep import Sweep
from wslabel.experiments.sweep_trials import SweepTrial, SweepTrials
from wslabel.project.project import Project
from wslabel.report.cells import written
from wslabel.report.charts.dots import DotChart, Dots
from wslabel.report.charts.parallel import ParallelChart
from wslabel.report.evaluation_sections import performance_tables
from wslabel.report.presentation import (
    Chart,
    Column,
    Fact,
    Kind,
    Presentation,
    Row,
    Section,
    Table,
    class_title,
)
from wslabel.report.score_names import score_name

MOST_TRIALS, FEW_VALUES = 50, 12
"""Trials that people are shown, and values of a key that are compared with one another."""


def presentation(project: Project, settings: Sweep, trials: SweepTrials) -> Presentation:
    """Lay a sweep out."""
    accuracy = trials.test.accuracy if trials.test.num_images else None
    keys = list(settings.search)
    section = Section(
        title="Sweep",
        note=_note(project, settings, trials),
        tables=(_table(keys, trials),),
        charts=tuple(_charts(keys, trials)),
    )
    return Presentation(
        title=f"{class_title(project.classes)}: sweep",
        subtitle=f"Workspace {project.workspace}",
        facts=(Fact("test accuracy of the best", accuracy),),
        sections=(section, _best_section(project, trials)),
    )


def _note(project: Project, settings: Sweep, trials: SweepTrials) -> str:
    """Say what the table shows, and what should keep the reader from trusting it as it stands."""
    note = (
        f"{len(trials.trials)} trials, sorted by {_validated(trials)}; test truth judges the best "
        "alone."
    )
    changing = [key for key in settings.upstream if not key.startswith("pretraining.")]
    if changing and project.training is not None and project.training.validate_on == "weak":
        note += (
            f" {', '.join(changing)} changes the weak labels that validation judges by, so trials "
            "are measured with different rulers; training.validate_on: truth measures all with one."
        )
    return note


def _validated(trials: SweepTrials) -> str:
    return score_name(f"validation_{trials.metric}")


def _best_section(project: Project, trials: SweepTrials) -> Section:
    note, tables = "", performance_tables(project.classes, {"best": trials.test})
    if not trials.test.num_images:
        note = "No image of the test split has a truth: validation alone has judged the best."
        tables = ()
    return Section(title="The best on the test split", note=note, tables=tables)


def _table(keys: Sequence[str], trials: SweepTrials) -> Table:
    values = {key: [trial.values.get(key) for trial in trials.trials] for key in keys}
    return Table(
        title="Trials",
        columns=(
            *(Column(key, _kind(own), key=key) for key, own in values.items()),
            Column(_validated(trials), Kind.SCORE, key=f"validation_{trials.metric}"),
            Column("epochs", Kind.COUNT),
            Column("error"),
        ),
        rows=tuple(_row(keys, trials, trial) for trial in trials.trials),
        limit=MOST_TRIALS,
        noun="trials",
    )


def _row(keys: Sequence[str], trials: SweepTrials, trial: SweepTrial) -> Row:
    values = (trial.values.get(key) for key in keys)
    return *values, trials.validated(trial), trial.epochs, trial.error


def _kind(values: Sequence[object]) -> Kind:
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return Kind.NUMBER if are_numbers else Kind.VALUE


def _charts(keys: Sequence[str], trials: SweepTrials) -> Iterator[Chart]:
    done = [trial for trial in trials.trials if trial.score is not None]
    scores = [trials.validated(trial) or 0.0 for trial in done]
    name = _validated(trials)
    values = {key: [trial.values.get(key) for trial in done] for key in keys}
    yield ParallelChart(title="All keys", axes={**values, name: scores}, note="A line per trial.")
    for key, own in values.items():
        rows = _by_value(own, scores)
        if len(rows) <= FEW_VALUES:
            yield DotChart(title=key, rows=rows, note=f"{name} by value; the mark is the mean.")


def _by_value(values: Sequence[object], scores: Sequence[float]) -> tuple[Dots, ...]:
    """Gather the scores of each value of a key, numbers in their order and others by name.

    >>> [dots.name for dots in _by_value([10, 9, 10, "auto"], [0.1, 0.2, 0.3, 0.4])]
    ['9', '10', 'auto']
    """
    by_value: dict[str, list[float]] = {}
    for value, score in sorted(zip(values, scores, strict=True), key=lambda pair: _order(pair[0])):
        by_value.setdefault(written(value, Kind.VALUE), []).append(score)
    return tuple(Dots(value, tuple(own)) for value, own in by_value.items())


def _order(value: object) -> tuple[float, str]:
    if isinstance(value, int | float):
        return float(value), ""
    return float("inf"), written(value, Kind.VALUE)
