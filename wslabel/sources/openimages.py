"""Open Images source: the data set's own CSV files, read as streams whatever their size.

An image is taken where people verified that it shows exactly one of the project's classes; what
they verified to be absent travels along. Format of the files and places of the images:
https://storage.googleapis.com/openimages/web/download_v7.html.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from pydantic import Field, field_validator, model_validator

from wslabel import uri as uris
from wslabel.config.base import S3, refuse
from wslabel.config.paths import AnyPath, ExistingPathOrUri
from wslabel.errors import SourceError, nearest
from wslabel.schema import TRUTH_ABSENT
from wslabel.sources.listing import LISTING, check
from wslabel.sources.source import MetadataNames, SourceConfig, SourceContext, Split
from wslabel.sources.splits import order
from wslabel.sources.stream import open_stream

BLOCK = 8 * 2**20
"""Bytes of a CSV file parsed at a time."""

LARGEST_LIST = 2**26
"""Most bytes of a file that is read whole: that of all classes has a hundredth of them."""

ID = r"^[\w.-]+$"
"""What an id is that becomes part of a path."""

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Folder of the bucket to our name of the split."""

OpenImagesSplit = Literal["train", "validation", "test"]

HUMAN = "https://storage.googleapis.com/openimages/v7/oidv7-{}-annotations-human-imagelabels.csv"


class OpenImagesConfig(SourceConfig):
    """Open Images: images that people verified to show exactly one of some classes.

    What the data set publishes as CSV is read as a stream from https, S3 or disk.

    Attributes:
        source: Name of this kind of source.
        classes: Display name or names in Open Images' own list for each class, in any case.
        class_descriptions: File of the display name of each label id.
        trainable_classes: File of the label ids whose classes may be asked for; null allows all.
        labels: File of the verified labels of each of the data set's splits that is to be listed:
            train, validation, test.
        image_metadata: File of the image metadata of each split in `labels`, where `metadata` asks
            for some.
        metadata: Columns of the image metadata, such as Title, that travel along.
        images: Folder or S3 prefix that holds the images, in a folder for each split.
        max_per_class: Most images of a class, a sample by `seed`; null takes all.
        own_splits: Whether the data set's splits are kept; otherwise they are drawn.
        split: Shares of the images that each split gets.
        s3: How to reach the images on S3; null takes the project's own `s3`.
    """

    source: Literal["openimages"]
    classes: dict[str, str | list[str]]
    class_descriptions: ExistingPathOrUri = (
        "https://storage.googleapis.com/openimages/v7/oidv7-class-descriptions.csv"
    )
    trainable_classes: ExistingPathOrUri | None = (
        "https://storage.googleapis.com/openimages/v7/oidv7-classes-trainable.txt"
    )
    labels: dict[OpenImagesSplit, ExistingPathOrUri] = {
        "train": HUMAN.format("train"),
        "validation": HUMAN.format("val"),
        "test": HUMAN.format("test"),
    }
    image_metadata: dict[OpenImagesSplit, ExistingPathOrUri] = {}
    metadata: MetadataNames = []
    images: AnyPath = "s3://open-images-dataset"
    max_per_class: int | None = Field(None, ge=1)
    own_splits: bool = False
    split: Split = Split(train=0.7, val=0.2, test=0.1)
    s3: S3 | None = S3(region="us-east-1", anonymous=True)

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {
        *("class_descriptions", "trainable_classes", "labels", "image_metadata"),
        *("images", "max_per_class"),
    }

    @field_validator("labels")
    @classmethod
    def _some_labels(cls, value: dict[OpenImagesSplit, str]) -> dict[OpenImagesSplit, str]:
        if not value:
            raise refuse("name the label file of at least one of train, validation, test")
        return value

    @model_validator(mode="after")
    def _metadata_has_files(self) -> Self:
        if self.metadata and set(self.image_metadata) != set(self.labels):
            raise refuse(
                f"metadata: name image_metadata of the splits {', '.join(self.labels)} too"
            )
        return self

    @property
    def known_elsewhere(self) -> Literal["same"]:
        """Say that an id stands for the same image wherever it lies."""
        return "same"

    @property
    def own_places(self) -> tuple[str, ...]:
        """Name the folder of the images."""
        return (self.images,)

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the images of some classes.

        Raises:
            SourceError: a class is unknown or not trainable, or a file is not as the data set's
                are.
        """
        classes = _class_ids(self, context.s3)
        listing = _capped(_all_verified(self, context, classes), self)
        for name in self.classes:
            if not pc.any(pc.equal(listing.column("truth"), name)).as_py():
                raise SourceError(f"no image is verified to show '{name}' alone")
        if self.metadata:
            listing = _with_metadata(listing, self, context)
        return check(listing, "openimages")

    def listing_state(self, s3: S3) -> object:
        """Say that it hangs on the settings alone: the files of a release stay as they are."""
        return []


@dataclass
class Verified:
    """What people verified about the images of one split, of the wanted classes alone.

    Attributes:
        present: Indices of the classes that an image shows, by its id.
        absent: Indices of the classes that an image does not show, by its id.
    """

    present: dict[str, set[int]] = field(default_factory=dict)
    absent: dict[str, set[int]] = field(default_factory=dict)


def _all_verified(
    settings: OpenImagesConfig, context: SourceContext, classes: Mapping[str, int]
) -> pa.Table:
    """List the images of all splits that are verified to show just one class."""
    parts, num_dropped = [], 0
    for split, uri in settings.labels.items():
        verified = _verified(uri, context, classes)
        shown = {i: next(iter(c)) for i, c in verified.present.items() if len(c) == 1}
        num_dropped += len(verified.present) - len(shown)
        parts.append(_listing(settings, split, shown, verified.absent))
    if num_dropped:
        context.tell(
            f"openimages: dropped {num_dropped:,} images that are verified to show two classes"
        )
    return pa.concat_tables(parts)


def _class_ids(settings: OpenImagesConfig, s3: S3) -> dict[str, int]:
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
    classes: dict[str, int] = {}
    for index, (own, names) in enumerate(settings.classes.items()):
        for name in [names] if isinstance(names, str) else names:
            where = f"images.classes.{own}: Open Images"
            if name.lower() not in named:
                raise SourceError(f"{where} has no class '{name}'; {nearest(name, shown)}")
            labels = named[name.lower()]
            _refuse_untrainable(where, name, labels, trainable)
            if any(classes.setdefault(label, index) != index for label in labels):
                raise SourceError(f"images.classes: '{name}' is named for two classes")
    return classes


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
    """Read a small file whole; its header may be missing."""
    parts, size = list[pa.RecordBatch](), 0
    for batch in _batches(uri, s3, names, has_header=False):
        size += batch.nbytes
        if size > LARGEST_LIST:
            raise SourceError(
                f"{uris.shown(uri)}: has more than {LARGEST_LIST:,} bytes; expected a list of "
                "classes"
            )
        parts.append(batch)
    table = pa.Table.from_batches(parts, _texts(names))
    has_header = table.num_rows > 0 and table.column(0)[0].as_py() == names[0]
    return table.slice(1) if has_header else table


def _texts(names: list[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


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
        raise SourceError(f"{uris.shown(uri)}: there is no such file") from None
    except PermissionError as error:
        raise SourceError(f"{uris.shown(uri)}: it may not be read: {error}") from None
    except (pa.ArrowInvalid, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SourceError(
            f"{uris.shown(uri)}: expected columns {', '.join(names)}: {reason}"
        ) from None


def _verified(uri: str, context: SourceContext, classes: Mapping[str, int]) -> Verified:
    """Go through a label file and keep what it says about the wanted classes."""
    names = ["ImageID", "LabelName", "Confidence"]
    wanted = pa.array(classes)
    verified, num_lines, told = Verified(), 0, 0
    for batch in _batches(uri, context.s3, names, has_header=True):
        num_lines += batch.num_rows
        kept = batch.filter(pc.is_in(batch.column("LabelName"), wanted))
        for image, label, confidence in zip(*(c.to_pylist() for c in kept.columns), strict=True):
            is_present = _number(uri, image, confidence) > 0
            target = verified.present if is_present else verified.absent
            target.setdefault(image, set()).add(classes[label])
        if num_lines - told >= 5_000_000:
            told = num_lines
            context.tell(
                f"{uris.shown(uri)}: {num_lines:,} lines, {len(verified.present):,} images"
            )
    return verified


def _number(uri: str, image: str, confidence: str) -> float:
    try:
        return float(confidence)
    except ValueError:
        raise SourceError(
            f"{uris.shown(uri)}: image '{image}' has the Confidence '{confidence}'; expected a "
            "number from 0 to 1"
        ) from None


def _listing(
    settings: OpenImagesConfig,
    split: OpenImagesSplit,
    shown: Mapping[str, int],
    absent: Mapping[str, set[int]],
) -> pa.Table:
    names = list(settings.classes)
    ids = sorted(shown)
    _refuse_paths(ids, settings.labels[split])
    root = settings.images.rstrip("/")
    own = SPLITS[split] if settings.own_splits else None
    absents = [[names[k] for k in sorted(absent.get(i, ()))] for i in ids]
    columns = {
        "image_id": ids,
        "uri": [f"{root}/{split}/{i}.jpg" for i in ids],
        "split": [own] * len(ids),
        "truth": [names[shown[i]] for i in ids],
        TRUTH_ABSENT.name: absents,
    }
    return pa.table(columns, schema=LISTING.append(TRUTH_ABSENT))


def _refuse_paths(ids: list[str], uri: str) -> None:
    """Refuse ids that would lead elsewhere than into the folder of images."""
    listed = pa.array(ids, pa.string())
    is_id = pc.match_substring_regex(listed, ID)
    if not pc.all(is_id).as_py():
        wrong = listed.filter(pc.invert(is_id))[0]
        raise SourceError(
            f"{uris.shown(uri)}: ImageID '{wrong}': expected only letters, digits, '.', '_' and '-'"
        )


def _capped(listing: pa.Table, settings: OpenImagesConfig) -> pa.Table:
    """Keep at most so many images of a class: a sample by seed, whatever the files' order."""
    if settings.max_per_class is None:
        return listing
    ranks = order(listing.column("image_id").to_pylist(), settings.seed)
    truth = listing.column("truth").to_numpy()[ranks]
    kept = np.concatenate(
        [ranks[truth == name][: settings.max_per_class] for name in settings.classes]
    )
    return listing.take(np.sort(kept))


def _with_metadata(
    listing: pa.Table, settings: OpenImagesConfig, context: SourceContext
) -> pa.Table:
    """Add columns of the data set's image metadata, such as Title, for the images listed."""
    names = ["ImageID", *settings.metadata]
    wanted = listing.column("image_id").combine_chunks()
    parts = []
    for uri in settings.image_metadata.values():
        context.tell(f"{uris.shown(uri)}: reading {', '.join(settings.metadata)}")
        batches = _batches(uri, context.s3, names, has_header=True)
        parts += [batch.filter(pc.is_in(batch.column("ImageID"), wanted)) for batch in batches]
    metadata = pa.Table.from_batches(parts, _texts(names))
    rows = pc.index_in(wanted, metadata.column("ImageID"))
    for name in settings.metadata:
        listing = listing.append_column(name, metadata.column(name).take(rows))
    return listing
