"""A finished run laid out: its evaluation, and what only a page can show."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from wslabel.labeling.labeling_function import LabelingFunction
from wslabel.report import evaluation_sections
from wslabel.report.charts.histogram import HistogramChart
from wslabel.report.charts.reliability import ReliabilityChart
from wslabel.report.confusion import pair_table
from wslabel.report.evaluation import Evaluation
from wslabel.report.presentation import (
    Chart,
    Fact,
    Kind,
    Presentation,
    Section,
    Table,
    class_title,
)
from wslabel.report.statistics import filled
from wslabel.stages.report.errors import error_section
from wslabel.stages.report.galleries import galleries
from wslabel.stages.report.report_counts import LABEL_MODEL, LabelCounts, ReportCounts
from wslabel.stages.report.story import story_section
from wslabel.workspace.workspace import Workspace

MOST_CHARTS = 24
"""Labeling functions whose scores are drawn."""


def presentation(
    workspace: Workspace, evaluation: Evaluation, counts: ReportCounts
) -> Presentation:
    """Lay out a finished run: the evaluation, and what only a page can show.

    Args:
        workspace: Workspace of the project.
        evaluation: What the stage evaluate found.
        counts: What was counted over all groups.
    """
    sections = [story_section(workspace, counts.images)]
    if counts.labels is not None:
        sections += _label_sections(workspace, evaluation, counts, counts.labels)
    if workspace.networks:
        section = evaluation_sections.network_section(evaluation)
        curves = tuple(_calibrations(counts, list(workspace.networks)))
        sections.append(replace(section, charts=curves))
    sections.append(error_section(workspace))
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    return Presentation(
        title=class_title(workspace.project.classes),
        subtitle=f"Made {made} with wslabel {version('wslabel')}",
        facts=(*_sizes(workspace, counts), *evaluation_sections.accuracies(evaluation)),
        sections=tuple(sections),
    )


def _sizes(workspace: Workspace, counts: ReportCounts) -> Iterator[Fact]:
    yield Fact("images", counts.images.total(), Kind.COUNT)
    yield Fact("labeling functions", len(workspace.project.labeling_functions), Kind.COUNT)


def _label_sections(
    workspace: Workspace, evaluation: Evaluation, counts: ReportCounts, labels: LabelCounts
) -> Iterator[Section]:
    functions = evaluation_sections.function_section(evaluation, _estimates(workspace))
    yield replace(
        functions,
        tables=(*functions.tables, *_pair_tables(workspace, labels, counts.images.total())),
        charts=tuple(_score_charts(workspace, counts)),
    )
    confidence = HistogramChart(
        title="Confidence",
        histogram=labels.confidence,
        note="Highest probability that the label model gives an image.",
    )
    charts = (confidence, *_calibrations(counts, [LABEL_MODEL]))
    yield replace(evaluation_sections.label_section(evaluation), charts=charts)
    note = "Each with its label, its truth where that is known, and the votes for it."
    yield Section(title="Images", note=note, galleries=galleries(workspace, labels))


def _estimates(workspace: Workspace) -> list[float] | None:
    fitted = workspace.fitted
    accuracies = None if fitted is None else fitted.accuracies()
    return None if accuracies is None else accuracies.tolist()


def _pair_tables(workspace: Workspace, labels: LabelCounts, num_images: int) -> Iterator[Table]:
    names = [lf.name for lf in workspace.functions.applier.functions]
    yield pair_table(
        names,
        labels.overlaps_MM / max(1, num_images),
        title="Overlaps",
        note="Share of all images on which both vote.",
        share="both vote",
    )
    yield pair_table(
        names,
        labels.conflicts_MM / np.maximum(1, labels.overlaps_MM),
        title="Conflicts",
        note="Share of the images on which both vote where they disagree.",
        share="disagree",
    )


def _score_charts(workspace: Workspace, counts: ReportCounts) -> Iterator[Chart]:
    for lf in scored_functions(workspace)[:MOST_CHARTS]:
        yield HistogramChart(
            title=lf.name,
            histogram=filled(counts.scores[lf.name]),
            marks=tuple(lf.thresholds.items()),
            note="The score that it votes by, over all images, and where it draws the line.",
        )


def _calibrations(counts: ReportCounts, names: Sequence[str]) -> Iterator[Chart]:
    for name in names:
        calibration = counts.calibration.get(name)
        if calibration is not None and calibration.error is not None:
            yield ReliabilityChart(
                title=f"Calibration: {name}",
                calibration=calibration,
                note=(
                    f"Test split; expected calibration error {calibration.error:.4f}. Points on "
                    "the diagonal: where it says 0.8, eight of ten are right."
                ),
            )


def scored_functions(workspace: Workspace) -> Sequence[LabelingFunction]:
    """List the labeling functions that go by a number."""
    if not workspace.project.labeling_functions:
        return ()
    return tuple(lf for lf in workspace.functions.applier.functions if lf.score_range is not None)
