"""From picked images to galleries: thumbnails, and votes in words."""

from collections import Counter
from collections.abc import Iterator

from wslabel import schema
from wslabel.report.presentation import Gallery, Picture
from wslabel.stages.report.picks import FEW_CLASSES, Pick, Picks, of_all
from wslabel.stages.report.report_counts import LabelCounts
from wslabel.storage.table import Table, shard_name
from wslabel.workspace.workspace import Workspace

MOST_VOTES = 12
"""Votes listed beside an image; of more, only how many are for each class."""


def galleries(workspace: Workspace, labels: LabelCounts) -> tuple[Gallery, ...]:
    """Show the most confident and the most contested images."""
    shown = {"Most confident": labels.confident, "Most contested": labels.contested}
    return tuple(
        gallery for title, picks in shown.items() for gallery in _galleries(workspace, title, picks)
    )


def _galleries(workspace: Workspace, title: str, picks: Picks) -> Iterator[Gallery]:
    classes = workspace.project.classes
    by_title = {f"{title}: {classes[label]}": own for label, own in sorted(picks.items())}
    if len(classes) > FEW_CLASSES:
        by_title = {f"{title}, each of another class": of_all(picks)}
    for name, own in by_title.items():
        if own:
            yield Gallery(name, tuple(_picture(workspace, pick) for pick in own))


def _picture(workspace: Workspace, pick: Pick) -> Picture:
    classes = workspace.project.classes
    return Picture(
        image_id=pick.image_id,
        thumbnail=thumbnail(workspace, pick.shard, pick.row),
        label=classes[pick.label],
        confidence=pick.confidence,
        votes=_votes(workspace, pick),
        truth=classes[pick.truth] if pick.truth >= 0 else None,
    )


def _votes(workspace: Workspace, pick: Pick) -> tuple[str, ...]:
    classes, functions = workspace.project.classes, workspace.functions.applier.functions
    votes = {
        lf.name: classes[vote]
        for lf, vote in zip(functions, pick.votes, strict=True)
        if vote != schema.ABSTAIN
    }
    if len(votes) <= MOST_VOTES:
        return tuple(f"{name}: {label}" for name, label in votes.items())
    counts = Counter(votes.values()).most_common(MOST_VOTES)
    return tuple(f"{count} votes: {label}" for label, count in counts)


def thumbnail(workspace: Workspace, shard: int, row: int) -> bytes | None:
    """Look up the stored thumbnail of an image, None where the project stores none."""
    for name, extractor in workspace.extractors.items():
        known = workspace.generations[name]
        column = extractor.settings.picture_column
        if column is not None and shard in known:
            table = Table(workspace.location, extractor.folder)
            pictures = table.read(shard_name(shard, known[shard]), [column]).column(0)
            jpeg: bytes | None = pictures[row].as_py()
            return jpeg
    return None
