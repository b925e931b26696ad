"""New images of a source to new shards of the manifest."""

import importlib.util
import json
import os
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wslabel.config import fingerprint
from wslabel.engine.progress import tell
from wslabel.errors import ConfigError, SourceError, nearest
from wslabel.settings import (
    Folder,
    Generated,
    HuggingFace,
    OpenImages,
    Project,
    TableSource,
    WebDataset,
)
from wslabel.sources import drawing, folder, generated, openimages, table, webdataset
from wslabel.steps import doors
from wslabel.steps.tables import Tables
from wslabel.storage.location import Entry, Location
from wslabel.storage.table import shard_name

DRAWING = b"wslabel.drawing"
"""Key in the footer of a shard of images: the settings that it was drawn with, as JSON."""


WHERE = {
    *("path", "dataset", "s3", "extensions", "count", "max_per_class", "images"),
    *("labels", "class_descriptions", "trainable_classes", "image_metadata"),
}
"""Settings that say where images are or how many: they may change, the others decide the draw."""


def list_source(project: Project) -> pa.Table:
    """List the images of a project's source.

    Raises:
        SourceError: it cannot be listed, or knows a truth that is none of the classes.
    """
    listing = _read(project)
    truth = listing.column("truth")
    wrong = pc.filter(truth, pc.invert(pc.is_in(truth, pa.array([*project.classes, None]))))
    if len(wrong):
        found = wrong[0].as_py()
        raise SourceError(
            f"images: '{found}' stands as the truth of some image and is none of the classes; "
            f"{nearest(found, project.classes)}; images.classes says what the source's names mean"
        )
    return listing


def _read(project: Project) -> pa.Table:
    settings, s3 = project.images, project.images.s3 or project.s3
    if isinstance(settings, HuggingFace):
        if importlib.util.find_spec("datasets") is None:
            raise SourceError("images.source: huggingface needs: pip install wslabel[huggingface]")
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
        source = doors.room("sources.huggingface")
        return source.read(settings, Location(project.workspace, project.s3))
    readers: dict[type, Any] = {
        Folder: folder.read,
        TableSource: table.read,
        Generated: generated.read,
        WebDataset: webdataset.read,
        OpenImages: partial(openimages.read, tell=tell),
    }
    return readers[type(settings)](settings, s3)


def is_listed(tables: Tables, listing: str | None) -> bool:
    """Tell whether a source that is costly to list was ingested whole and is as it was."""
    return listing is not None and tables.constants.get(listing) is not None


def note_listed(tables: Tables, listing: str | None) -> None:
    """Remember that a source that is costly to list was ingested whole."""
    if listing is not None:
        tables.constants.keep(listing, {"num_shards": len(tables.shards)})


def listing_name(project: Project) -> str | None:
    """Name the settings and state of a source that is costly to list, None of others."""
    settings = project.images
    state: list[Entry] = []
    if isinstance(settings, WebDataset):
        state = webdataset.tars(settings, settings.s3 or project.s3)[1]
    elif isinstance(settings, HuggingFace) and settings.dataset.startswith("/"):
        state = Location(settings.dataset).files("", recursive=True)
    elif not isinstance(settings, OpenImages | HuggingFace):
        return None
    return f"listed-{fingerprint(settings, [asdict(entry) for entry in state])}"


def refuse_redrawing(tables: Tables) -> None:
    """Keep what decides split, truth and shard of an image as it was when images were drawn.

    Raises:
        ConfigError: the project file has changed in one of these.
    """
    if not tables.shards:
        return
    footer = tables.images.footer(shard_name(tables.shards[0]))
    was, now = json.loads(footer.metadata[DRAWING]), json.loads(_drawing(tables.project))
    for key in sorted(now.keys() | was.keys()):
        if now.get(key) != was.get(key):
            raise ConfigError(
                f"images.{key}: this workspace was drawn with {was.get(key)!r}, "
                f"found {now.get(key)!r}; put it back or take another workspace"
            )


def _drawing(project: Project) -> str:
    return json.dumps(project.images.model_dump(mode="json", exclude=WHERE), sort_keys=True)


def draw_new(project: Project, listing: pa.Table, known: list[pa.Table]) -> pa.Table:
    """Draw the images that the manifest lacks, going on where it ends."""
    counts: Counter[tuple[str | None, str]] = sum((drawing.count(t) for t in known), Counter())
    if known:
        listing = _as_before(listing, known[0].schema)
        _refuse_moved(listing, known)
        ids = pa.chunked_array([c for t in known for c in t.column("image_id").chunks], pa.string())
        listing = drawing.unknown(listing, ids)
    settings = project.images
    return drawing.draw(listing, settings.split.model_dump(), settings.seed, counts)


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


def commit_new(tables: Tables, new: pa.Table) -> int | None:
    """Commit new shards after those there are; None where another driver came in between."""
    size = tables.project.images.shard_size
    first = max(tables.shards, default=-1) + 1
    starts = range(0, new.num_rows, size)
    for shard, start in enumerate(starts, first):
        part = new.slice(start, size).combine_chunks()
        part = part.replace_schema_metadata({DRAWING: _drawing(tables.project)})
        name = shard_name(shard)
        if not tables.images.commit(name, [part]) and not tables.images.read(name).equals(part):
            return None
    return len(starts)
