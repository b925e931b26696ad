"""The Python API: a project from a file or a dict, run, read and asked in a script or a notebook.

What is here is offered as `wslabel.load`, `wslabel.run` and so on.
"""

import webbrowser
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import pyarrow as pa

from wslabel import pipeline
from wslabel.cli import show
from wslabel.config.extras import absence
from wslabel.errors import ConfigError, nearest
from wslabel.experiments.next_images import next_images as ask_next
from wslabel.experiments.trial import Trial, try_config
from wslabel.labeling import analysis
from wslabel.project.loading import build, register
from wslabel.project.loading import load as load_file
from wslabel.project.project import Project
from wslabel.schema import SPLITS, TRUTH
from wslabel.stages.report.report import ReportResult
from wslabel.stages.result import StageResult
from wslabel.workspace import explain as explaining
from wslabel.workspace.images import class_ids, read_images, votes_matrix
from wslabel.workspace.reading import read
from wslabel.workspace.requirements import require_features, require_votes
from wslabel.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = [
    "Project",
    "StageResult",
    "Trial",
    "Workspace",
    "analyze",
    "explain",
    "export_labels",
    "load",
    "next_images",
    "open_page",
    "read_table",
    "register",
    "run",
    "run_stage",
    "try_function",
]


def load(source: str | Path | Mapping[str, Any], *, folder: str | Path = ".") -> Project:
    """Read a project from a file, or from a dict that says the same.

    Args:
        source: Path of a project file, or its keys and values.
        folder: Folder that relative paths in a dict are relative to.

    Raises:
        ConfigError: One sentence per problem: file, key, what was found, nearest valid choice.
    """
    if isinstance(source, Mapping):
        return build(Path(folder) / "project", dict(source))
    return load_file(source)


def run(
    project: Project,
    *,
    until: str | None = None,
    retry: Collection[str] = (),
    refresh_quantiles: bool = False,
    progress: bool = True,
) -> list[StageResult]:
    """Do what is not yet done of a project, stage by stage.

    Args:
        project: What to do.
        until: Name of the last stage to do; None for all.
        retry: Error kinds whose images are taken up again.
        refresh_quantiles: Whether thresholds that are given by quantile are found anew.
        progress: Whether a line is printed for each stage.
    """
    options = pipeline.Options(frozenset(retry), refresh_quantiles)
    results = []
    for result in pipeline.run(project, until=until, options=options):
        results.append(result)
        if progress:
            show(result, json_lines=False)
    return results


def run_stage(
    project: Project,
    name: str,
    *,
    retry: Collection[str] = (),
    refresh_quantiles: bool = False,
) -> StageResult:
    """Do one stage alone.

    Args:
        project: What to do.
        name: Name of the stage.
        retry: Error kinds whose images are taken up again.
        refresh_quantiles: Whether thresholds that are given by quantile are found anew.

    Raises:
        ConfigError: There is no such stage, or the project lacks what it needs.
        WorkLeft: The stages before it are not done.
    """
    options = pipeline.Options(frozenset(retry), refresh_quantiles)
    return pipeline.run_stage(project, name, options)


def _refuse_unknown(what: str, value: object, choices: Sequence[object]) -> None:
    if value not in choices:
        named = [choice for choice in choices if choice is not None]
        raise ConfigError(f"there is no {what} '{value}'; {nearest(value, named)}")


@overload
def read_table(
    project: Project,
    name: str,
    columns: Sequence[str] | None = ...,
    *,
    format: Literal["arrow"] = ...,
) -> pa.Table: ...
@overload
def read_table(
    project: Project,
    name: str,
    columns: Sequence[str] | None = ...,
    *,
    format: Literal["pandas"],
) -> "pd.DataFrame": ...
@overload
def read_table(
    project: Project,
    name: str,
    columns: Sequence[str] | None = ...,
    *,
    format: Literal["polars"],
) -> "pl.DataFrame": ...
def read_table(
    project: Project,
    name: str,
    columns: Sequence[str] | None = None,
    *,
    format: Literal["arrow", "pandas", "polars"] = "arrow",
) -> "pa.Table | pd.DataFrame | pl.DataFrame":
    """Read a table of a project as it is now; row i is the same image in every table.

    Args:
        project: Project whose table it is.
        name: images, features/NAME, votes, labels or predictions/NETWORK.
        columns: Columns to read; None for all.
        format: arrow, pandas or polars.

    Raises:
        ConfigError: There is no such table, column or format, or polars is not installed.
        WorkLeft: It is not made yet, or not whole.
    """
    _refuse_unknown("format", format, ("arrow", "pandas", "polars"))
    reason = absence("polars") if format == "polars" else None
    if reason is not None:
        raise ConfigError(f"format: {reason}")
    table = read(Workspace(project), name, columns)
    if format == "pandas":
        return table.to_pandas()
    if format == "polars":
        import polars as pl  # noqa: PLC0415 - not everybody has it

        return pl.DataFrame(pl.from_arrow(table))
    return table


def analyze(project: Project, *, split: str | None = None) -> "pd.DataFrame":
    """Tell how labeling functions behave, as Snorkel's `LFAnalysis.lf_summary` does.

    Args:
        project: Project whose votes are looked at.
        split: train, val or test; None for all images.

    Returns:
        One row per labeling function, with Snorkel's column names: j, Polarity, Coverage, Overlaps,
        Conflicts and, where some truth is known, Correct, Incorrect and Emp. Acc.

    Raises:
        ConfigError: There is no such split, or there are no labeling functions.
        WorkLeft: Votes are missing.
    """
    import pandas as pd  # noqa: PLC0415 - takes a while to load

    _refuse_unknown("split", split, (None, *SPLITS))
    if not project.labeling_functions:
        raise ConfigError("labeling_functions: is missing; there is nothing to analyze")
    workspace = Workspace(project)
    require_votes(workspace)
    counts = reduce(analysis.merge, _counts(workspace, split))
    names = [function.name for function in project.labeling_functions]
    rows = [
        {
            "j": index,
            "Polarity": list(row.polarity),
            "Coverage": row.coverage,
            "Overlaps": row.overlaps,
            "Conflicts": row.conflicts,
            "Correct": row.correct,
            "Incorrect": row.incorrect,
            "Emp. Acc.": row.empirical_accuracy,
        }
        for index, row in enumerate(analysis.table(counts, names, project.classes))
    ]
    frame = pd.DataFrame(rows, index=names)
    has_truth = counts.num_truths > 0
    return frame if has_truth else frame.drop(columns=["Correct", "Incorrect", "Emp. Acc."])


def _counts(workspace: Workspace, split: str | None) -> list[analysis.VoteCounts]:
    counts, classes = [], tuple(workspace.project.classes)
    for group in workspace.votes.items:
        votes_NM = votes_matrix(workspace.votes.table.read(group.name))
        images = read_images(workspace.location, group.shards, ["split", TRUTH])
        truth_N = class_ids(images.column(TRUTH), classes)
        if split is not None:
            chosen_N = images.column("split").to_numpy() == split
            votes_NM, truth_N = votes_NM[chosen_N], truth_N[chosen_N]
        counts.append(analysis.count(votes_NM, truth_N, len(classes)))
    return counts


def try_function(project: Project, settings: Mapping[str, Any]) -> Trial:
    """Let a labeling function vote on the stored features, without writing it to the project.

    Args:
        project: Project whose images and features it sees.
        settings: What would stand under `labeling_functions`, as a dict.

    Raises:
        ConfigError: The settings are no labeling function of this project.
        LabelingFunctionError: The function failed.
        WorkLeft: Features are missing.
    """
    workspace = Workspace(project)
    require_features(workspace)
    return try_config(workspace, settings)


def next_images(
    project: Project,
    acquisition: Mapping[str, Any],
    *,
    table: str = "labels",
    count: int = 20,
) -> "pd.DataFrame":
    """Say which images to ask people about first.

    Args:
        project: Project whose images they are.
        acquisition: How much an answer would tell: {"kind": "margin"}, least_confidence or entropy.
        table: What is uncertain: labels or predictions/NETWORK.
        count: How many images.

    Returns:
        One row per image, the most uncertain first: image_id, score, label, confidence.

    Raises:
        ConfigError: There is no such acquisition function or table.
        WorkLeft: The table is not made yet.
    """
    import pandas as pd  # noqa: PLC0415 - takes a while to load

    images = ask_next(Workspace(project), acquisition, table=table, count=count)
    columns = ["image_id", "score", "label", "confidence"]
    return pd.DataFrame([asdict(image) for image in images], columns=columns)


def export_labels(
    project: Project,
    settings: Mapping[str, Any],
    *,
    table: str = "labels",
    folder: str | Path = ".",
) -> str:
    """Write labels or predictions of all images as one file for other tools.

    Args:
        project: Project whose labels they are.
        settings: How they are written: {"kind": "csv"} or {"kind": "parquet"}.
        table: labels or predictions/NETWORK.
        folder: Folder of the file.

    Returns:
        Path of the file.

    Raises:
        ConfigError: There is no such export or table, or there is such a file already.
        WorkLeft: The table is not made yet.
    """
    return pipeline.export_labels(project, settings, table, Path(folder))


def explain(project: Project, image_id: str) -> dict[str, Any]:
    """Tell why an image has its label: what was seen of it, who voted how, and the result.

    Raises:
        SourceError: No image has that id.
        WorkLeft: Features are missing.
    """
    return explaining.explain(Workspace(project), image_id)


def open_page(project: Project, *, browser: bool = True) -> str:
    """Write the page of a finished run, unless it is there, and open it.

    Args:
        project: Project that was run.
        browser: Whether the page is opened; on S3 it never is.

    Returns:
        Address of the page.

    Raises:
        WorkLeft: The stage evaluate has not been done.
    """
    result = pipeline.run_stage(project, "report")
    assert isinstance(result, ReportResult)
    if browser and not result.page.startswith("s3://"):
        webbrowser.open(Path(result.page).as_uri())
    return result.page
