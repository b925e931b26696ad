"""What a refusal must look like, and what must hold of every listing."""

import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa

from wslabel.config.base import S3
from wslabel.errors import TransientStorageError, WslabelError
from wslabel.screen import visible
from wslabel.sources import splits
from wslabel.sources.arrivals import arrivals
from wslabel.sources.source import SourceConfig, SourceContext
from wslabel.storage.location import Location
from wslabel.storage.table import serialize

LONGEST = 2000
"""Most characters of a line that a person may be shown."""


def scratch() -> Path:
    """Make a folder for a target's files, in memory where that is possible."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="wslabel-fuzz-", dir=memory if memory.is_dir() else None))


def see_that_it_is_clear(error: WslabelError) -> None:
    """See that a refusal is made of lines that a terminal can show, and is no call for patience."""
    said = str(error)
    assert not isinstance(error, TransientStorageError), f"a broken file is waited for: {said}"
    for line in said.split("\n"):
        assert line.strip(), f"an empty line: {said!r}"
        assert line == visible(line), f"something is hidden: {line!r}"
        assert len(line) <= LONGEST, f"{len(line)} characters: {line[:200]!r}"


def listed(source: SourceConfig, workspace: Path) -> pa.Table | None:
    """List the images of a source as an ingest does; None where it refuses them clearly."""
    place = Location(str(workspace))
    try:
        listing = source.list_images(SourceContext(S3(), place, lambda _: None))
    except WslabelError as error:
        see_that_it_is_clear(error)
        return None
    listing.validate(full=True)
    ids = listing.column("image_id").to_pylist()
    assert len(set(ids)) == len(ids) > 0
    assert None not in ids
    assert not listing.column("uri").null_count
    drawn = splits.draw(listing, source.split.model_dump(), source.seed, Counter())
    assert drawn.num_rows == len(ids)
    serialize([drawn.combine_chunks()], plain=True)
    again = arrivals(listing, drawn, source, place.root)
    assert (again.new.num_rows, again.num_known) == (0, len(ids)), "listed again, other images"
    return listing
