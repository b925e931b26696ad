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


def check(listing: pa.Table, where: str) -> pa.Table:
    """Refuse a listing of nothing, or with a row without id or uri, an id twice, or a wrong split.

    Raises:
        SourceError: the first such row.
    """
    if not listing.num_rows:
        raise SourceError(f"{where}: no image found")
    for column in ("uri", "image_id"):
        if listing.column(column).null_count:
            row = pc.index(pc.is_null(listing.column(column)), True).as_py()
            raise SourceError(f"{where}: row {row} (from 0) has no {column}")
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
