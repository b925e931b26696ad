"""Open Images source: the data set's own CSV files, read as streams whatever their size.

An image is taken where people verified that it shows exactly one of the project's classes; what
they verified to be absent travels along. Format of the files and places of the images:
https://storage.googleapis.com/openimages/web/download_v7.html.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from wslabel.errors import SourceError, nearest
from wslabel.schema import TRUTH_ABSENT
from wslabel.settings import S3, OpenImages
from wslabel.sources.drawing import order
from wslabel.sources.fetch import open_stream
from wslabel.sources.listing import LISTING, check

BLOCK = 8 * 2**20
"""Bytes of a CSV file parsed at a time."""

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Folder of the bucket to our name of the split."""

Tell = Callable[[str], None]


@dataclass
class Verified:
    """What people verified about the images of one split, of the wanted classes alone."""

    present: dict[str, set[int]] = field(default_factory=dict)
    absent: dict[str, set[int]] = field(default_factory=dict)


def read(settings: OpenImages, s3: S3, tell: Tell) -> pa.Table:
    """List the images of some classes.

    Args:
        settings: classes and files.
        s3: how to reach files on S3.
        tell: takes a line about how it goes.

    Raises:
        SourceError: a class is unknown or not trainable, or a file is not as the data set's are.
    """
    classes = _class_ids(settings, s3)
    parts, dropped = [], 0
    for split, uri in settings.labels.items():
        verified = _verified(uri, s3, classes, tell)
        both = {image for image, found in verified.present.items() if len(found) > 1}
        dropped += len(both)
        one = {i: next(iter(f)) for i, f in verified.present.items() if i not in both}
        parts.append(_listing(settings, split, one, verified.absent))
    if dropped:
        tell(f"openimages: dropped {dropped:,} images that are verified to show two classes")
    listing = _capped(pa.concat_tables(parts), settings)
    for name in settings.classes:
        if not pc.any(pc.equal(listing.column("truth"), name)).as_py():
            raise SourceError(f"no image is verified to show '{name}' alone")
    if settings.metadata:
        listing = _with_metadata(listing, settings, s3, tell)
    return check(listing, "openimages")


def _class_ids(settings: OpenImages, s3: S3) -> dict[str, int]:
    """Give the index of the project's class for each label id, such as /m/06npx."""
    table = _whole(settings.class_descriptions, s3, ["LabelName", "DisplayName"])
    shown = table.column("DisplayName").to_pylist()
    named: dict[str, list[str]] = {}
    for label, name in zip(table.column("LabelName").to_pylist(), shown, strict=True):
        named.setdefault(name.lower(), []).append(label)
    trainable = None
    if settings.trainable_classes is not None:
        lines = _whole(settings.trainable_classes, s3, ["LabelName"])
        trainable = set(lines.column("LabelName").to_pylist())
    found: dict[str, int] = {}
    for index, (own, names) in enumerate(settings.classes.items()):
        for name in [names] if isinstance(names, str) else names:
            where = f"images.classes.{own}: Open Images"
            if name.lower() not in named:
                raise SourceError(f"{where} has no class '{name}'; {nearest(name, shown)}")
            labels = named[name.lower()]
            _refuse_untrainable(where, name, labels, trainable)
            if any(found.setdefault(label, index) != index for label in labels):
                raise SourceError(f"images.classes: '{name}' is named for two classes")
    return found


def _refuse_untrainable(
    where: str, name: str, labels: list[str], trainable: set[str] | None
) -> None:
    for label in labels:
        if trainable is not None and label not in trainable:
            raise SourceError(
                f"{where} does not list '{name}' ({label}) among its trainable classes; "
                "trainable_classes: null takes it all the same"
            )


def _whole(uri: str, s3: S3, names: list[str]) -> pa.Table:
    """Read a small file of ours whose header may be missing."""
    table = pa.concat_tables(
        [pa.Table.from_batches([batch]) for batch in _batches(uri, s3, names, has_header=False)]
    )
    has_header = table.num_rows > 0 and table.column(0)[0].as_py() == names[0]
    return table.slice(1) if has_header else table


def _batches(uri: str, s3: S3, names: list[str], *, has_header: bool) -> Iterator[pa.RecordBatch]:
    try:
        with open_stream(uri, s3) as stream:
            yield from pacsv.open_csv(
                stream,
                pacsv.ReadOptions(block_size=BLOCK, column_names=None if has_header else names),
                convert_options=pacsv.ConvertOptions(
                    include_columns=names, column_types=dict.fromkeys(names, pa.string())
                ),
            )
    except FileNotFoundError:
        raise SourceError(f"{uri}: there is no such file") from None
    except (pa.ArrowInvalid, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SourceError(f"{uri}: expected columns {', '.join(names)}: {reason}") from None


def _verified(uri: str, s3: S3, classes: Mapping[str, int], tell: Tell) -> Verified:
    """Go through a label file and keep what it says about the wanted classes."""
    names = ["ImageID", "LabelName", "Confidence"]
    wanted = pa.array(classes)
    found, num_lines, told = Verified(), 0, 0
    for batch in _batches(uri, s3, names, has_header=True):
        num_lines += batch.num_rows
        kept = batch.filter(pc.is_in(batch.column("LabelName"), wanted))
        for image, label, confidence in zip(*(c.to_pylist() for c in kept.columns), strict=True):
            target = found.present if float(confidence) > 0 else found.absent
            target.setdefault(image, set()).add(classes[label])
        if num_lines - told >= 5_000_000:
            told = num_lines
            tell(f"{uri}: {num_lines:,} lines, {len(found.present):,} images")
    return found


def _listing(
    settings: OpenImages, split: str, one: Mapping[str, int], absent: Mapping[str, set[int]]
) -> pa.Table:
    names = list(settings.classes)
    ids = sorted(one)
    root = settings.images.rstrip("/")
    own = SPLITS[split] if settings.own_splits else None
    absents = [[names[k] for k in sorted(absent.get(i, ()))] for i in ids]
    columns = {
        "image_id": ids,
        "uri": [f"{root}/{split}/{i}.jpg" for i in ids],
        "split": [own] * len(ids),
        "truth": [names[one[i]] for i in ids],
        TRUTH_ABSENT.name: absents,
    }
    return pa.table(columns, schema=LISTING.append(TRUTH_ABSENT))


def _capped(listing: pa.Table, settings: OpenImages) -> pa.Table:
    """Keep at most so many images of a class: a sample by seed, whatever the files' order."""
    if settings.max_per_class is None:
        return listing
    ranks = order(listing.column("image_id").to_pylist(), settings.seed)
    truth = listing.column("truth").to_numpy()[ranks]
    kept = np.concatenate(
        [ranks[truth == name][: settings.max_per_class] for name in settings.classes]
    )
    return listing.take(np.sort(kept))


def _with_metadata(listing: pa.Table, settings: OpenImages, s3: S3, tell: Tell) -> pa.Table:
    """Add columns of the data set's image metadata, such as Title, for the images listed."""
    names = ["ImageID", *settings.metadata]
    wanted = listing.column("image_id").combine_chunks()
    parts = []
    for uri in settings.image_metadata.values():
        tell(f"{uri}: reading {', '.join(settings.metadata)}")
        batches = _batches(uri, s3, names, has_header=True)
        parts += [batch.filter(pc.is_in(batch.column("ImageID"), wanted)) for batch in batches]
    found = pa.Table.from_batches(parts)
    rows = pc.index_in(wanted, found.column("ImageID"))
    for name in settings.metadata:
        listing = listing.append_column(name, found.column(name).take(rows))
    return listing
