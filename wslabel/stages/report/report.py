"""Report: the page that shows a finished run, as one HTML file that needs nothing else."""

import operator
import time
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from wslabel.engine.execute import Placement, execute
from wslabel.labeling.labeling_function import features_of
from wslabel.report.page import render
from wslabel.stages.report.report_counts import ReportCounts, ReportCountsStep
from wslabel.stages.report.sections import presentation, scored_functions
from wslabel.stages.result import StageResult
from wslabel.workspace.batches import batch_reader
from wslabel.workspace.evaluation_files import evaluation_files, read_evaluation
from wslabel.workspace.requirements import require_evaluation
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ReportResult(StageResult):
    """The page.

    Attributes:
        page: Uri of the page.
    """

    stage: ClassVar[str] = "report"
    page: str

    @property
    def notes(self) -> tuple[str, ...]:
        """Say where the page is."""
        return (f"report: {self.page}",)


def run(workspace: Workspace) -> ReportResult:
    """Write the page that shows a finished run; one that was written for it already is kept.

    Raises:
        WorkLeft: The stage evaluate has not been done.
    """
    start = time.monotonic()
    require_evaluation(workspace)
    is_made = workspace.location.exists(workspace.report)
    if not is_made:
        evaluation = read_evaluation(workspace)
        page = render(presentation(workspace, evaluation, _counts(workspace)))
        workspace.location.create(workspace.report, page.encode())
    return ReportResult(
        made=int(not is_made),
        total=1,
        seconds=time.monotonic() - start,
        page=workspace.location.uri(workspace.report),
    )


def _counts(workspace: Workspace) -> ReportCounts:
    scored = scored_functions(workspace)
    reads = list(dict.fromkeys(column for lf in scored for column in lf.reads))
    step = ReportCountsStep(
        location=workspace.location,
        classes=tuple(workspace.project.classes),
        functions=scored,
        reader=batch_reader(workspace, reads),
        generations={
            name: workspace.generations[name] for name in features_of(reads, workspace.extractors)
        },
    )
    results = execute(
        workspace.project.engine,
        "report",
        step,
        evaluation_files(workspace),
        placement=Placement.TASKS,
        by_value=workspace.functions.modules if scored else (),
    )
    return reduce(operator.add, (result.value for result in results), ReportCounts())
