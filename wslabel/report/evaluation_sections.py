"""An evaluation laid out: overall figures first, then classes, then what is taken for what."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wslabel.report.confusion import confusion_table
from wslabel.report.evaluation import LABELS, Evaluation, FunctionScore, Performance
from wslabel.report.presentation import (
    SCREENFUL,
    Column,
    Fact,
    Kind,
    Presentation,
    Row,
    Section,
    Table,
    class_title,
)

MOST_FUNCTIONS = 60
"""Labeling functions that people are shown in one table."""

OVERALL = (
    Column("images", Kind.COUNT),
    Column("coverage", Kind.SCORE),
    Column("accuracy", Kind.SCORE),
    Column("macro F1", Kind.SCORE),
    Column("ROC-AUC", Kind.SCORE),
    Column("calibration error", Kind.SCORE),
)

FUNCTIONS = (
    Column("name"),
    Column("votes for", Kind.NAMES),
    Column("coverage", Kind.SHARE),
    Column("overlaps", Kind.SHARE),
    Column("conflicts", Kind.SHARE),
    Column("correct", Kind.COUNT),
    Column("incorrect", Kind.COUNT),
    Column("accuracy", Kind.SHARE),
)


def presentation(evaluation: Evaluation) -> Presentation:
    """Lay an evaluation out."""
    sections = (
        function_section(evaluation),
        label_section(evaluation),
        network_section(evaluation),
    )
    return Presentation(
        title=class_title(evaluation.classes),
        facts=accuracies(evaluation),
        sections=tuple(s for s in sections if s.tables or s.note),
    )


def accuracies(evaluation: Evaluation) -> tuple[Fact, ...]:
    """Give the accuracy on the test split of all that was judged there."""
    facts = []
    for kind, name in LABELS.items():
        test = evaluation.labels.get(kind, {}).get("test")
        if test is not None and test.num_images:
            labeled = f"{test.coverage:.1%} labeled"
            facts.append(Fact(f"accuracy of the {name} (test, {labeled})", test.accuracy))
    for name, performance in evaluation.networks.items():
        if performance.num_images:
            facts.append(Fact(f"accuracy of the network {name} (test)", performance.accuracy))
    return tuple(facts)


def function_section(
    evaluation: Evaluation, estimates: Sequence[float | None] | None = None
) -> Section:
    """Lay out how labeling functions behave.

    Args:
        evaluation: What was found.
        estimates: The accuracy that the label model gives each of them, where it learned any.
    """
    columns: tuple[Column, ...] = FUNCTIONS
    rows = [_function(score) for score in evaluation.functions]
    note = "Shares of all images; accuracy where truth is known, over the images voted on."
    if estimates is not None:
        columns += (Column("label model's estimate", Kind.SHARE),)
        rows = [(*row, value) for row, value in zip(rows, estimates, strict=True)]
        note += " The label model estimates it without truth, from agreements alone."
    table = Table(
        title="Analysis",
        columns=columns,
        rows=tuple(rows),
        limit=MOST_FUNCTIONS,
        noun="labeling functions",
    )
    note = note if rows else ""
    return Section(title="Labeling functions", note=note, tables=_filled(table))


def _function(score: FunctionScore) -> Row:
    shares = (score.coverage, score.overlaps, score.conflicts)
    return score.name, score.classes, *shares, score.correct, score.incorrect, score.accuracy


def label_section(evaluation: Evaluation) -> Section:
    """Lay out how labels compare with truth."""
    judged = [
        (LABELS[kind], split, performance)
        for kind, splits in evaluation.labels.items()
        for split, performance in splits.items()
        if performance.num_images
    ]
    detailed = {
        name: (split, performance) for name, split, performance in judged if split == "test"
    }
    for name, split, performance in judged:
        detailed.setdefault(name, (split, performance))
    tables = [_overall("labels", judged)]
    for name, (split, performance) in detailed.items():
        classes, confusion = _details(evaluation.classes, performance, f"{name} ({split})")
        is_baseline = name == LABELS["majority_label"]
        tables += (replace(classes, is_detail=is_baseline), confusion)
    best = evaluation.best_function()
    note = _alone(best, evaluation.num_truths) if best else ""
    return Section(title="Labels", note=note, tables=_filled(*tables))


def _alone(best: FunctionScore, num_truths: int) -> str:
    share = (best.correct or 0) / num_truths
    return (
        f"For comparison, the best labeling function alone: {best.name}, right on {share:.4f} of "
        "the images with truth (abstentions are wrong)."
    )


def network_section(evaluation: Evaluation) -> Section:
    """Lay out how networks do on the test split."""
    judged = {
        name: performance
        for name, performance in evaluation.networks.items()
        if performance.num_images
    }
    note = "" if judged else "No image of the test split has a truth to judge networks by."
    return Section(
        title="Networks",
        note=note if evaluation.networks else "",
        tables=performance_tables(evaluation.classes, judged),
    )


def performance_tables(
    classes: Sequence[str], networks: Mapping[str, Performance]
) -> tuple[Table, ...]:
    """Lay out networks that were judged on the test split."""
    tables = [
        _overall("network", [(name, "test", performance) for name, performance in networks.items()])
    ]
    for name, performance in networks.items():
        tables += _details(classes, performance, f"{name} (test)")
    return _filled(*tables)


def _overall(noun: str, judged: Sequence[tuple[str, str, Performance]]) -> Table:
    rows = tuple((name, split, *_figures(performance)) for name, split, performance in judged)
    columns = (Column(noun), Column("split"), *OVERALL)
    return Table(title="Overall", columns=columns, rows=rows, num_naming=2)


def _figures(performance: Performance) -> Row:
    return (
        *(performance.num_images, performance.coverage, performance.accuracy, performance.macro_f1),
        *(performance.roc_auc, performance.calibration_error),
    )


def _details(classes: Sequence[str], performance: Performance, name: str) -> tuple[Table, Table]:
    return (
        class_table(classes, performance, f"Classes: {name}"),
        confusion_table(classes, performance.confusion_KK, f"Confusion: {name}"),
    )


def class_table(classes: Sequence[str], performance: Performance, title: str) -> Table:
    """Lay out the scores of each class, the worst first; classes without truth come last."""
    labeled_K = performance.confusion_KK.sum(axis=0).tolist()
    rows: list[tuple[float, Row]] = []
    for name, score, labeled in zip(classes, performance.classes, labeled_K, strict=True):
        precision = score.precision if labeled else None
        recall, f1 = (score.recall, score.f1) if score.support else (None, None)
        order = score.f1 if score.support else 2.0
        rows.append((order, (name, score.support, precision, recall, f1)))
    rows.sort(key=lambda pair: pair[0])
    scores = (Column(name, Kind.SCORE) for name in ("precision", "recall", "F1"))
    return Table(
        title=title,
        columns=(Column("class"), Column("images", Kind.COUNT), *scores),
        rows=tuple(row for _, row in rows),
        limit=SCREENFUL,
        noun="classes",
    )


def _filled(*tables: Table) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)
