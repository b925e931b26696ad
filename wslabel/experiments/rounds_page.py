"""Rounds of self-training laid out: what each did to the labels, and how its network did."""

from collections.abc import Iterator

from wslabel.config.experiments import SelfTraining
from wslabel.experiments.rounds import TESTED, Round, Rounds
from wslabel.project.project import Project
from wslabel.report.charts.lines import LineChart
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


def presentation(project: Project, rounds: Rounds) -> Presentation:
    """Lay rounds out."""
    settings = project.self_training
    assert settings is not None
    section = Section(
        title="Self-training",
        note=_note(settings),
        tables=(_table(rounds),),
        charts=tuple(_charts(rounds)),
    )
    best = f"test accuracy of round {rounds.best}, the best by validation"
    return Presentation(
        title=f"{class_title(project.classes)}: self-training",
        subtitle=f"Workspace {project.workspace}",
        facts=(Fact(best, rounds.rounds[rounds.best].test["accuracy"]),),
        sections=(section,),
    )


def _note(settings: SelfTraining) -> str:
    return (
        "Every image of the train split is judged by a network that has not learned from it "
        f"({settings.folds} folds). Predictions above {settings.threshold:g} are mixed with the "
        f"label model's labels, of which {settings.given_weight:g} stays. Truth is for this page "
        "alone."
    )


def _table(rounds: Rounds) -> Table:
    validation = tuple(rounds.rounds[0].validation)
    tested = tuple(f"test_{name}" for name in TESTED)
    counts = ("labels chosen", "labels changed", "labels gained")
    return Table(
        title="Rounds",
        columns=(
            Column("round", Kind.COUNT),
            *(Column(name, Kind.COUNT) for name in counts),
            Column("labels right", Kind.SCORE),
            *(Column(score_name(name), Kind.SCORE, key=name) for name in (*validation, *tested)),
            Column("best", Kind.MARK),
        ),
        rows=tuple(_row(own, validation, rounds.best) for own in rounds.rounds),
    )


def _row(own: Round, validation: tuple[str, ...], best: int) -> Row:
    labels = own.labels
    counts: Row = (None, None, None, None)
    if labels is not None:
        right = labels.right / labels.judged if labels.judged else None
        counts = (labels.chosen, labels.changed, labels.gained, right)
    validated = (own.validation.get(name) for name in validation)
    tested = (own.test[name] for name in TESTED)
    return own.number, *counts, *validated, *tested, own.number == best


def _charts(rounds: Rounds) -> Iterator[Chart]:
    accuracies = [own.test["accuracy"] for own in rounds.rounds]
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    if len(known) == len(accuracies):
        yield LineChart(title="Accuracy", series={"test accuracy": known}, note="By round.")
    changed = [float(own.labels.changed) if own.labels else 0.0 for own in rounds.rounds]
    yield LineChart(title="Changed labels", series={"changed": changed}, note="By round.")
