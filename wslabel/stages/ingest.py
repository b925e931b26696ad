"""New images of a source to new shards of the manifest."""

import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from wslabel.config.base import S3
from wslabel.config.fingerprint import fingerprint
from wslabel.engine.progress import tell
from wslabel.errors import ConfigError, SourceError, nearest
from wslabel.project.project import Project
from wslabel.sources import splits
from wslabel.sources.source import SourceContext
from wslabel.stages.result import StageResult
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace

DRAWING = b"wslabel.drawing"
"""Key in the footer of a shard of images: the settings that it was drawn with, as JSON."""


@dataclass(frozen=True, kw_only=True)
class IngestResult(StageResult):
    """What ingesting added to the manifest."""

    stage: ClassVar[str] = "ingest"


def run(workspace: Workspace) -> IngestResult:
    """Draw shards and splits of new images; images in the manifest stay as they are.

    Raises:
        SourceError: the source cannot be listed.
        ConfigError: the workspace was drawn in another way.
    """
    start, project = time.monotonic(), workspace.project
    workspace.location.sweep()
    refuse_redrawing(workspace)
    name = listing_name(project)  # before the listing, during which a source may change
    if is_listed(workspace, name):
        result = IngestResult(total=len(workspace.shards))
    else:
        result = _add_new(workspace, list_source(workspace))
        note_listed(Workspace(project), name)
    return replace(result, seconds=time.monotonic() - start)


def _add_new(workspace: Workspace, listing: pa.Table) -> IngestResult:
    """Draw and commit new images, again where another driver commits some at the same time."""
    while True:
        known = [workspace.images.read(shard_name(shard)) for shard in workspace.shards]
        new = draw_new(workspace.project, listing, known)
        made = commit_new(workspace, new)
        if made is not None:
            total = len(workspace.shards) + made
            return IngestResult(made=made, total=total, num_images=new.num_rows)
        workspace = Workspace(workspace.project)


def _s3_of(project: Project) -> S3:
    return project.images.s3 or project.s3


def list_source(workspace: Workspace) -> pa.Table:
    """List the images of a project's source.

    Raises:
        SourceError: it cannot be listed, or knows a truth that is none of the classes.
    """
    project = workspace.project
    context = SourceContext(s3=_s3_of(project), workspace=workspace.location, tell=tell)
    listing = project.images.list_images(context)
    truth = listing.column("truth")
    wrong = pc.filter(truth, pc.invert(pc.is_in(truth, pa.array([*project.classes, None]))))
    if len(wrong):
        name = wrong[0].as_py()
        raise SourceError(
            f"images: '{name}' stands as the truth of some image and is none of the classes; "
            f"{nearest(name, project.classes)}; images.classes says what the source's names mean"
        )
    return listing


def listing_name(project: Project) -> str | None:
    """Name the settings and state of a source that is costly to list, None of others."""
    state = project.images.listing_state(_s3_of(project))
    return None if state is None else f"listed-{fingerprint(project.images, state)}"


def is_listed(workspace: Workspace, name: str | None) -> bool:
    """Tell whether a source that is costly to list was ingested whole and is as it was."""
    return name is not None and workspace.constants.get(name) is not None


def note_listed(workspace: Workspace, name: str | None) -> None:
    """Remember that a source that is costly to list was ingested whole."""
    if name is not None:
        workspace.constants.keep(name, {"num_shards": len(workspace.shards)})


def refuse_redrawing(workspace: Workspace) -> None:
    """Keep what decides split, truth and shard of an image as it was when images were drawn.

    Raises:
        ConfigError: the project file has changed in one of these.
    """
    if not workspace.shards:
        return
    footer = workspace.images.footer(shard_name(workspace.shards[0]))
    was, now = json.loads(footer.metadata[DRAWING]), json.loads(_drawing(workspace.project))
    for key in sorted(now.keys() | was.keys()):
        if now.get(key) != was.get(key):
            raise ConfigError(
                f"images.{key}: this workspace was drawn with {was.get(key)!r}, "
                f"found {now.get(key)!r}; put it back or take another workspace"
            )


def _drawing(project: Project) -> str:
    images = project.images
    return json.dumps(
        images.model_dump(mode="json", exclude=set(images.may_change)), sort_keys=True
    )


def draw_new(project: Project, listing: pa.Table, known: list[pa.Table]) -> pa.Table:
    """Draw the images that the manifest lacks, going on where it ends.

    Args:
        project: the project whose settings decide the draw.
        listing: all images of the source.
        known: the shards of the manifest.
    """
    counts: Counter[tuple[str | None, str]] = sum((splits.count(t) for t in known), Counter())
    if known:
        listing = _as_before(listing, known[0].schema)
        _refuse_moved(listing, known)
        ids = pa.chunked_array([c for t in known for c in t.column("image_id").chunks], pa.string())
        listing = splits.unknown(listing, ids)
    images = project.images
    return splits.draw(listing, images.split.model_dump(), images.seed, counts)


def _refuse_moved(listing: pa.Table, known: list[pa.Table]) -> None:
    """Refuse other ranges of the same object: what was noted of its images is no longer true."""
    if not pc.any(pc.match_substring(listing.column("uri"), "#bytes=")).as_py():
        return
    before = pa.concat_tables([table.select(["image_id", "uri"]) for table in known])
    rows = pc.index_in(listing.column("image_id"), before.column("image_id").combine_chunks())
    was, now = before.column("uri").take(rows), listing.column("uri")
    same = [pc.replace_substring_regex(uris, "#bytes=.*", "") for uris in (was, now)]
    moved = pc.and_(pc.equal(*same), pc.not_equal(was, now)).fill_null(False)  # noqa: FBT003
    if pc.any(moved).as_py():
        image = listing.column("image_id").filter(moved)[0]
        raise SourceError(
            f"images: '{image}' lies elsewhere in its file now, so that file was written anew; "
            "give new files new names, or take another workspace"
        )


def _as_before(listing: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give the columns the types that they had when the first images were drawn."""
    for index, field in enumerate(listing.schema):
        was = schema.field(field.name).type
        try:
            values = listing.column(index).cast(was)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = " ".join(str(error).split())[:200]
            raise SourceError(
                f"images: column '{field.name}' was of type {was} when the first images were "
                f"drawn, and is of type {field.type} now: {reason}"
            ) from None
        listing = listing.set_column(index, pa.field(field.name, was), values)
    return listing


def commit_new(workspace: Workspace, new: pa.Table) -> int | None:
    """Commit new shards after those there are; None where another driver came in between.

    Args:
        workspace: the workspace whose shards they become.
        new: images that the manifest lacks, in order.
    """
    size = workspace.project.images.shard_size
    first = max(workspace.shards, default=-1) + 1
    starts = range(0, new.num_rows, size)
    for shard, start in enumerate(starts, first):
        part = new.slice(start, size).combine_chunks()
        part = part.replace_schema_metadata({DRAWING: _drawing(workspace.project)})
        name = shard_name(shard)
        table = workspace.images
        if not table.commit(name, [part]) and not table.read(name).equals(part):
            return None
    return len(starts)
