"""What a source lists: one row per image, before shards and splits are drawn."""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from wslabel.errors import SourceError
from wslabel.schema import SPLITS

LISTING = pa.schema(
    [
        ("image_id", pa.string()),
        ("uri", pa.string()),
        ("split", pa.string()),
        ("truth", pa.string()),
    ]
)
"""`split` is null where it is still to be drawn; `truth` is a class name or null."""

LONGEST = {"image_id": 2**13, "uri": 2**13}
LONGEST_CELL = 2**20
"""Most bytes of an id or a uri, and of any other text that a listing holds."""


def class_of(names: Mapping[str, str | list[str]]) -> dict[str, str]:
    """Invert `classes:` of a source: the source's own name to the project's class.

    >>> class_of({"sea": ["coast", "beach"]})
    {'coast': 'sea', 'beach': 'sea'}
    """
    return {
        own: name
        for name, owns in names.items()
        for own in ([owns] if isinstance(owns, str) else owns)
    }


def truths(
    names: Mapping[str, str | list[str]] | None, own: Iterable[str | None]
) -> list[str | None]:
    """Give each image the project's class for the source's own name of it, null where none is.

    >>> truths({"sea": ["coast", "beach"]}, ["beach", "city", None])
    ['sea', None, None]
    """
    if names is None:
        return list(own)
    classes = class_of(names)
    return [None if name is None else classes.get(name) for name in own]


def check(listing: pa.Table, where: str, skipped: Mapping[str, int] | None = None) -> pa.Table:
    """Refuse a listing of nothing, a row without id or uri, an id twice, a text too long.

    Args:
        listing: What was listed.
        where: The source, for the error.
        skipped: What it left out, by the reason.

    Raises:
        SourceError: the first such row, or a split that is none.
    """
    if not listing.num_rows:
        raise SourceError(f"{where}: no image found{left_out(skipped or {})}")
    for column in ("uri", "image_id"):
        if listing.column(column).null_count:
            row = pc.index(pc.is_null(listing.column(column)), True).as_py()
            raise SourceError(f"{where}: row {row} (from 0) has no {column}")
    _refuse_long(listing, where)
    ids = listing.column("image_id")
    if pc.count_distinct(ids).as_py() != len(ids):
        counts = pc.value_counts(ids)
        twice = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))[0]
        raise SourceError(f"{where}: image_id '{twice}' stands more than once; ids must be unique")
    splits = listing.column("split").drop_null()
    wrong = pc.filter(splits, pc.invert(pc.is_in(splits, pa.array(SPLITS))))
    if len(wrong):
        raise SourceError(f"{where}: split '{wrong[0]}' is none of {', '.join(SPLITS)}")
    return listing


def left_out(skipped: Mapping[str, int]) -> str:
    """Say what a source left out, as the end of a sentence; nothing where that is nothing.

    >>> left_out({"ending in '.txt'": 2})
    "; left out: 2 ending in '.txt'"
    """
    parts = (f"{count:,} {why}" for why, count in sorted(skipped.items()))
    return f"; left out: {', '.join(parts)}" if skipped else ""


def _refuse_long(listing: pa.Table, where: str) -> None:
    for name in listing.column_names:
        column, most = listing.column(name), LONGEST.get(name, LONGEST_CELL)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        sizes = pc.binary_length(column)
        size = pc.max(sizes).as_py() or 0
        if size > most:
            row = pc.index(sizes, pa.scalar(size, sizes.type)).as_py()
            raise SourceError(
                f"{where}: {name} in row {row} (from 0) has {size:,} bytes; expected {most:,} at "
                "most"
            )
