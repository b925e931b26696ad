"""New images of a source to new shards of the manifest."""

import json
from collections import Counter

import pyarrow as pa

from wslabel.config import fingerprint
from wslabel.engine.progress import tell
from wslabel.errors import ConfigError
from wslabel.settings import Project
from wslabel.sources import drawing, folder, generated, openimages, table
from wslabel.steps.tables import Tables
from wslabel.storage.table import shard_name

DRAWING = b"wslabel.drawing"
"""Key in the footer of a shard of images: the settings that it was drawn with, as JSON."""


WHERE = {
    *("path", "s3", "extensions", "count", "max_per_class", "images"),
    *("labels", "class_descriptions", "trainable_classes", "image_metadata"),
}
"""Settings that say where images are or how many: they may change, the others decide the draw."""


def list_source(project: Project) -> pa.Table:
    """List the images of a project's source."""
    settings, s3 = project.images, project.images.s3 or project.s3
    if settings.source == "openimages":
        return openimages.read(settings, s3, tell)
    if settings.source == "generated":
        return generated.read(settings, s3)
    return folder.read(settings, s3) if settings.source == "folder" else table.read(settings, s3)


def is_listed(tables: Tables) -> bool:
    """Tell whether a source that never changes was ingested whole with just these settings."""
    return tables.constants.get(_listed(tables.project)) is not None


def note_listed(tables: Tables) -> None:
    """Remember that a source that never changes was ingested whole."""
    if tables.project.images.source == "openimages":
        tables.constants.keep(_listed(tables.project), {"num_shards": len(tables.shards)})


def _listed(project: Project) -> str:
    return f"listed-{fingerprint(project.images)}"


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
        ids = pa.chunked_array([c for t in known for c in t.column("image_id").chunks], pa.string())
        listing = drawing.unknown(listing, ids)
    settings = project.images
    return drawing.draw(listing, settings.split.model_dump(), settings.seed, counts)


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
