"""New images of a source to new shards of the manifest."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import to_jsonable_python

from wslabel.config.base import S3
from wslabel.config.fingerprint import fingerprint
from wslabel.engine.progress import tell
from wslabel.errors import ConfigError, SourceError, nearest
from wslabel.project.project import Project
from wslabel.schema import MODIFIED_AT, NUM_BYTES
from wslabel.sources import splits
from wslabel.sources.arrivals import Arrivals, arrivals
from wslabel.sources.listing import left_out
from wslabel.sources.source import SourceConfig, SourceContext
from wslabel.stages.result import StageResult
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace

DRAWING = b"wslabel.drawing"
"""Key in the footer of a shard of images: the settings that it was drawn with, as JSON."""

STORE = "store"
"""Constant that says that the workspace's store was seen to be fit for one."""


@dataclass(frozen=True, kw_only=True)
class IngestResult(StageResult):
    """What ingesting added to the manifest.

    Attributes:
        num_known: Listed images that the manifest had.
        num_renamed: New images whose own id was taken; their uri is their id.
        changed: Ids of known images whose files have another size or time of change now.
        skipped: Files and rows that the source left out, by the reason.
    """

    stage: ClassVar[str] = "ingest"
    num_known: int = 0
    num_renamed: int = 0
    changed: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """Account for every image that was found, where the source was listed."""
        listed = self.num_known + self.num_images
        if not listed:
            return ()
        lines = [f"{listed:,} images listed: {self.num_known:,} known, {self.num_images:,} new"]
        if self.num_renamed:
            lines.append(
                f"{self.num_renamed:,} of the new ones have the path of a known image in another "
                "folder; their uri is their id"
            )
        if self.changed:
            lines.append(
                f"{len(self.changed):,} known images have another size or time of change than when "
                f"they were ingested, '{self.changed[0]}' for one; what was made of them stays"
            )
        if self.skipped:
            lines.append(left_out(self.skipped).removeprefix("; "))
        return tuple(lines)


def run(workspace: Workspace) -> IngestResult:
    """Draw shards and splits of new images; images in the manifest stay as they are.

    Raises:
        SourceError: the source cannot be listed.
        ConfigError: the workspace was drawn in another way.
    """
    start, project = time.monotonic(), workspace.project
    workspace.location.sweep()
    require_store(workspace)
    refuse_redrawing(workspace)
    name = listing_name(project)  # before the listing, during which a source may change
    if is_listed(workspace, name):
        result = IngestResult(total=len(workspace.shards))
    else:
        result = _add_new(workspace, *list_source(workspace))
        note_listed(Workspace(project), name)
    return replace(result, seconds=time.monotonic() - start)


def require_store(workspace: Workspace) -> None:
    """See once that the workspace's store creates a file only where there is none.

    Raises:
        StorageError: It does not, so two runs could put rows beside the wrong images.
    """
    if workspace.constants.get(STORE) is None:
        workspace.location.probe()
        workspace.constants.keep(STORE, {"creates_only_if_absent": True})


def _add_new(workspace: Workspace, listing: pa.Table, skipped: Mapping[str, int]) -> IngestResult:
    """Draw and commit new images, again where another driver commits some at the same time."""
    while True:
        known = [workspace.images.read(shard_name(shard)) for shard in workspace.shards]
        found = draw_new(workspace.project, listing, known)
        made = commit_new(workspace, found.new)
        if made is not None:
            return IngestResult(
                made=made,
                total=len(workspace.shards) + made,
                num_images=found.new.num_rows,
                num_known=found.num_known,
                num_renamed=found.num_renamed,
                changed=found.changed,
                skipped=skipped,
            )
        workspace = Workspace(workspace.project)


def _s3_of(project: Project) -> S3:
    return project.images.s3 or project.s3


def list_source(workspace: Workspace) -> tuple[pa.Table, Mapping[str, int]]:
    """List the images of a project's source, and count by the reason what it leaves out.

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
    return listing, context.skipped


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
    # A key that was not there yet was drawn as its default does.
    was = _defaults(workspace.project.images) | was
    for key in sorted(now.keys() | was.keys()):
        if now.get(key) != was.get(key):
            raise ConfigError(
                f"images.{key}: this workspace was drawn with {was.get(key)!r}, "
                f"found {now.get(key)!r}; put it back or take another workspace"
            )


def _defaults(images: SourceConfig) -> dict[str, object]:
    fields = type(images).model_fields
    return {
        name: to_jsonable_python(field.get_default(call_default_factory=True))
        for name, field in fields.items()
        if not field.is_required() and name not in images.may_change
    }


def _drawing(project: Project) -> str:
    images = project.images
    return json.dumps(
        images.model_dump(mode="json", exclude=set(images.may_change)), sort_keys=True
    )


def draw_new(project: Project, listing: pa.Table, known: list[pa.Table]) -> Arrivals:
    """Draw the images that the manifest lacks, going on where it ends.

    Args:
        project: the project whose settings decide the draw.
        listing: all images of the source.
        known: the shards of the manifest.
    """
    counts: Counter[tuple[str | None, str]] = sum((splits.count(t) for t in known), Counter())
    images = project.images
    found = Arrivals(new=listing, num_known=0)
    if known:
        listing, before = _as_before(listing, known[0].schema), pa.concat_tables(known)
        found = arrivals(listing, before, images, project.workspace)
    drawn = splits.draw(found.new, images.split.model_dump(), images.seed, counts)
    return replace(found, new=drawn)


def _as_before(listing: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give the columns that there were when the first images were drawn, of the same types."""
    columns = [_cast(listing, column) for column in schema]
    return pa.Table.from_arrays(columns, schema=schema.remove_metadata())


def _cast(listing: pa.Table, was: pa.Field) -> pa.ChunkedArray:
    if was.name not in listing.column_names and was in (NUM_BYTES, MODIFIED_AT):
        return pa.chunked_array([pa.nulls(listing.num_rows, was.type)])
    values = listing.column(was.name)
    try:
        return values.cast(was.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceError(
            f"images: column '{was.name}' was of type {was.type} when the first images were "
            f"drawn, and is of type {values.type} now: {reason}"
        ) from None


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
