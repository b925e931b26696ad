"""What was run: images by class and split, and the time that each stage took."""

from collections import Counter
from collections.abc import Mapping, Sequence

from wslabel import schema
from wslabel.report.presentation import SCREENFUL, Column, Kind, Row, Section, Table
from wslabel.workspace import log
from wslabel.workspace.workspace import Workspace

Images = Mapping[tuple[str, str | None], int]
"""Images by split and name of the true class."""


def story_section(workspace: Workspace, images: Images) -> Section:
    """Lay out what was run."""
    source, times = workspace.project.images.source, _time_table(workspace)
    return Section(
        title="What was run",
        note=f"Workspace {workspace.location.root}; source {source}.",
        tables=(image_table(images), *((times,) if times.rows else ())),
    )


def image_table(images: Images) -> Table:
    """Count images by class and split, the largest class first, below all of them."""
    totals: Counter[str | None] = Counter()
    for (_, truth), count in images.items():
        totals[truth] += count
    no_truth = [None] if None in totals else []
    classes = [truth for truth, _ in totals.most_common() if truth is not None]
    rows = [(truth or "no truth", *_counts(images, truth)) for truth in (*no_truth, *classes)]
    sums = map(sum, zip(*(row[1:] for row in rows), strict=True))
    heads = (Column(name, Kind.COUNT) for name in (*schema.SPLITS, "all"))
    return Table(
        title="Images",
        columns=(Column("class"), *heads),
        rows=(("all", *sums), *rows),
        limit=SCREENFUL + 2,
        noun="classes",
    )


def _counts(images: Images, truth: str | None) -> tuple[int, ...]:
    counts = [images.get((split, truth), 0) for split in schema.SPLITS]
    return *counts, sum(counts)


def _time_table(workspace: Workspace) -> Table:
    """Add up what all runs so far spent in each stage."""
    by_stage: dict[str, list[log.Entry]] = {}
    for entry in log.read(workspace.location):
        by_stage.setdefault(entry.stage, []).append(entry)
    counts = (Column("made", Kind.COUNT), Column("seconds", Kind.SECONDS))
    rates = (Column("images", Kind.COUNT), Column("images/s", Kind.SECONDS))
    return Table(
        title="Time, over all runs so far",
        columns=(Column("stage"), *counts, *rates),
        rows=tuple(_stage(stage, entries) for stage, entries in by_stage.items()),
        is_detail=True,
    )


def _stage(stage: str, entries: Sequence[log.Entry]) -> Row:
    seconds = sum(entry.seconds for entry in entries)
    images = sum(entry.num_images for entry in entries) or None
    rate = images / seconds if images and seconds else None
    return stage, sum(entry.made for entry in entries), seconds, images, rate
