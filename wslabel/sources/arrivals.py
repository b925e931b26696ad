"""Which images of a listing are new: an id stands for one image, and no image is left out."""

from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from wslabel.errors import SourceError
from wslabel.schema import MODIFIED_AT, NUM_BYTES
from wslabel.sources.source import SourceConfig
from wslabel.uri import shown

RANGE = "#bytes=.*"
"""What follows the uri of a file in the uri of a part of it."""


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What a listing holds beside the images that the manifest has.

    Attributes:
        new: Images that the manifest lacks.
        num_known: Images that it has.
        num_renamed: New images whose own id is that of another image; their uri is their id.
        changed: Ids of images that it has whose files have another size or time of change now.
    """

    new: pa.Table
    num_known: int
    num_renamed: int = 0
    changed: tuple[str, ...] = ()


def arrivals(listing: pa.Table, before: pa.Table, source: SourceConfig, root: str) -> Arrivals:
    """Tell new images from those that the manifest has.

    Args:
        listing: All images of the source.
        before: The manifest.
        source: Says what an id means that stands for another uri already.
        root: Root of the workspace, in which files are named by their content.

    Raises:
        SourceError: An id stands for another image, or a file that holds images was written anew.
    """
    listing, given = _unsigned(listing), listing.column("uri")
    before = _unsigned(before)
    rows = pc.index_in(listing.column("image_id"), before.column("image_id").combine_chunks())
    _refuse_moved(listing, before, rows)
    is_elsewhere = _elsewhere(listing, before, rows, root)
    if source.known_elsewhere == "refused":
        _refuse_elsewhere(listing, before, rows, is_elsewhere)
    changed = _changed(listing, before, rows)
    is_known, num_renamed = pc.is_valid(rows), 0
    if source.known_elsewhere == "other":
        ids = pc.if_else(is_elsewhere, listing.column("uri"), listing.column("image_id"))
        listing = listing.set_column(0, listing.schema.field(0), ids)
        # By its uri an image is known too that had another id under another path.
        is_known = pc.or_(_is_in(ids, before, "image_id"), _is_in(listing.column("uri"), before))
        num_renamed = _count(pc.and_not(is_elsewhere, is_known))
    new = listing.set_column(1, listing.schema.field(1), given).filter(pc.invert(is_known))
    return Arrivals(new=new, num_known=_count(is_known), num_renamed=num_renamed, changed=changed)


def _unsigned(images: pa.Table) -> pa.Table:
    """Give uris without signatures: signed again, an image is the same one."""
    uris = images.column("uri")
    if not pc.any(pc.match_substring_regex(uris, "[?@]")).as_py():
        return images
    plain = pa.array([shown(uri) for uri in uris.to_pylist()], pa.string())
    return images.set_column(images.column_names.index("uri"), images.schema.field("uri"), plain)


def _is_in(values: pa.ChunkedArray, before: pa.Table, column: str = "uri") -> pa.ChunkedArray:
    return pc.is_in(values, before.column(column).combine_chunks())


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _elsewhere(listing: pa.Table, before: pa.Table, rows: pa.Array, root: str) -> pa.ChunkedArray:
    """Tell which images have an id that is known with another uri."""
    was, now = before.column("uri").take(rows), listing.column("uri")
    is_own = pc.starts_with(now, f"{root}/")
    return pc.and_not(pc.not_equal(was, now).fill_null(False), is_own)  # noqa: FBT003


def _refuse_elsewhere(
    listing: pa.Table, before: pa.Table, rows: pa.Array, is_elsewhere: pa.ChunkedArray
) -> None:
    count = _count(is_elsewhere)
    if not count:
        return
    row = pc.index(is_elsewhere, True).as_py()
    image, now = listing.column("image_id")[row], listing.column("uri")[row]
    more = f", and {count - 1:,} more images like it" if count > 1 else ""
    raise SourceError(
        f"images: '{image}' is known as {before.column('uri')[rows[row].as_py()]}, and found as "
        f"{now}{more}; an id stands for one image: give new images ids of their own, or take "
        "another workspace"
    )


def _refuse_moved(listing: pa.Table, before: pa.Table, rows: pa.Array) -> None:
    """Refuse other ranges of the same object: what was noted of its images is no longer true."""
    now = listing.column("uri")
    if not pc.any(pc.match_substring(now, "#bytes=")).as_py():
        return
    was = before.column("uri").take(rows)
    same = [pc.replace_substring_regex(uris, RANGE, "") for uris in (was, now)]
    moved = pc.and_(pc.equal(*same), pc.not_equal(was, now)).fill_null(False)  # noqa: FBT003
    if pc.any(moved).as_py():
        image = listing.column("image_id").filter(moved)[0]
        raise SourceError(
            f"images: '{image}' lies elsewhere in its file now, so that file was written anew; "
            "give new files new names, or take another workspace"
        )


def _changed(listing: pa.Table, before: pa.Table, rows: pa.Array) -> tuple[str, ...]:
    """Name the images whose file is no longer as it was, where the source knows."""
    known = {*before.column_names} & {*listing.column_names}
    differ = [
        pc.not_equal(before.column(name).take(rows), listing.column(name))
        for name in (NUM_BYTES.name, MODIFIED_AT.name)
        if name in known
    ]
    if not differ:
        return ()
    is_same_uri = pc.equal(before.column("uri").take(rows), listing.column("uri"))
    is_changed = pc.and_(reduce(pc.or_, differ), is_same_uri).fill_null(False)  # noqa: FBT003
    return tuple(listing.column("image_id").filter(is_changed).to_pylist())
