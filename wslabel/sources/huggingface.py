"""Hugging Face source: a data set of the library `datasets`, local or from the hub.

Files of a local data set stay where they are. Images that lie in Arrow or Parquet files, or in the
cache of this machine, are packed into tar files of the workspace, so that every worker fetches its
range of bytes from there. Tar files are named by their content, so packing again adds nothing, and
such images by theirs, so that a data set may grow anywhere.
"""

import hashlib
import io
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import ValidationInfo, field_validator

from wslabel.config.base import S3
from wslabel.config.extras import absence
from wslabel.config.paths import existing, place
from wslabel.errors import SourceError, nearest
from wslabel.sources.fetch import part_of
from wslabel.sources.listing import LISTING, check, truths
from wslabel.sources.source import MetadataNames, SourceConfig, SourceContext
from wslabel.storage.location import Location

PACK = 64 * 2**20
"""Bytes of images after which a tar file is closed."""

ROWS = 256
"""Rows read at a time."""

_ON_HUB = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
"""A data set, or a user and a data set."""


class HuggingFaceConfig(SourceConfig):
    """A data set of the Hugging Face library `datasets`: a local folder, or a name on its hub.

    Images that are no files of a local folder are packed into tar files of the workspace.

    Attributes:
        source: Name of this kind of source.
        dataset: Folder of a local data set, or a name on the hub: `name` or `user/name`.
        subset: One of the data set's configurations; null takes its only or default one.
        revision: Version of a data set on the hub: a branch, tag or commit; null takes the newest.
        image: Column that holds the images.
        image_id: Column of the images' ids, which are unique; null takes the path in the data set
            or a hash of the bytes.
        truth: Column of the source's own names of classes; null leaves all images without truth.
        metadata: Columns that travel along as text.
        classes: Values of `truth` that stand for each class; null takes them as they are.
        splits: The data set's splits that are listed, each with the split of ours (train, val,
            test) that its images get; null has it drawn.
    """

    source: Literal["huggingface"]
    dataset: str
    subset: str | None = None
    revision: str | None = None
    image: str = "image"
    image_id: str | None = None
    truth: str | None = None
    metadata: MetadataNames = []
    classes: dict[str, str | list[str]] | None = None
    splits: dict[str, Literal["train", "val", "test"] | None] = {"train": None}

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"dataset"}

    @field_validator("dataset")
    @classmethod
    def _folder_or_name(cls, value: str, info: ValidationInfo) -> str:
        # What could be a name on the hub, and is no folder beside the project file, is one.
        path = place(value, info)
        if _ON_HUB.fullmatch(value) and not Path(path).exists():
            return value
        return existing(value, info)

    @property
    def known_elsewhere(self) -> Literal["other", "refused"]:
        """Say that the same path in another folder is another image; ids of people are refused."""
        return "other" if self.image_id is None else "refused"

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the images of a data set.

        Raises:
            SourceError: there is no such data set, split or column, or the library is absent.
        """
        parts = [
            _listing(self, name, ours, context.workspace) for name, ours in self.splits.items()
        ]
        return check(pa.concat_tables(parts), self.dataset)

    def listing_state(self, s3: S3) -> object:
        """List the files of a local data set; of one on the hub, the settings say all."""
        if not self.dataset.startswith("/"):
            return []
        return [asdict(entry) for entry in Location(self.dataset).files("", recursive=True)]


@dataclass(frozen=True)
class _Rows:
    """One split of a data set, read as plain values; the door to the library `datasets`.

    Attributes:
        library: The library.
        rows: The split, as the library opens it.
    """

    library: Any
    rows: Any

    def names(self, column: str | None) -> list[str | None]:
        """Read a column as text; the numbers of classes become their names."""
        if column is None:
            return [None] * len(self.rows)
        feature, values = self.rows.features[column], self.rows[column]
        if isinstance(feature, self.library.ClassLabel):
            # The hub's data sets write -1 where there is no label.
            return [None if k is None or k < 0 else feature.int2str(k) for k in values]
        return [None if value is None else str(value) for value in values]

    def holds_images(self, column: str) -> bool:
        """Tell whether a column holds images."""
        return isinstance(self.rows.features[column], self.library.Image)

    def images(self, column: str) -> Iterator[Any]:
        """Read a column of images, each as its bytes and path, or None."""
        undecoded = self.library.Image(decode=False)
        plain = self.rows.select_columns([column]).cast_column(column, undecoded)
        for batch in plain.with_format("arrow").iter(ROWS):
            yield from batch.column(column).to_pylist()


def _open(settings: HuggingFaceConfig, split: str) -> _Rows:
    reason = absence("huggingface")
    if reason is not None:
        raise SourceError(f"images.source: {reason}")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    import datasets  # noqa: PLC0415 - an extra

    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(
            settings.dataset, settings.subset, split=split, revision=settings.revision
        )
    except (datasets.exceptions.DatasetsError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SourceError(f"images.dataset '{settings.dataset}', {split}: {reason}") from None
    return _Rows(datasets, rows)


def _listing(
    settings: HuggingFaceConfig, split: str, ours: str | None, workspace: Location
) -> pa.Table:
    opened = _open(settings, split)
    _refuse_missing(settings, opened)
    uris, ids = _uris(settings, split, opened, workspace)
    if settings.image_id is not None:
        ids = opened.names(settings.image_id)
    columns: dict[str, Any] = {"image_id": ids, "uri": uris, "split": [ours] * len(ids)}
    columns["truth"] = truths(settings.classes, opened.names(settings.truth))
    listing = pa.table(columns, schema=LISTING)
    for column in settings.metadata:
        listing = listing.append_column(column, pa.array(opened.names(column), pa.string()))
    return listing


def _refuse_missing(settings: HuggingFaceConfig, opened: _Rows) -> None:
    names = opened.rows.column_names
    for column in (settings.image, settings.image_id, settings.truth, *settings.metadata):
        if column is not None and column not in names:
            choice = nearest(column, names)
            raise SourceError(f"{settings.dataset}: there is no column '{column}'; {choice}")
    if not opened.holds_images(settings.image):
        raise SourceError(f"{settings.dataset}: the column '{settings.image}' holds no images")


def _uris(
    settings: HuggingFaceConfig, split: str, opened: _Rows, workspace: Location
) -> tuple[list[str | None], list[str | None]]:
    """Say where each image is, and call it by its path in the data set or a hash of its bytes."""
    pack = _Pack(workspace)
    uris: list[str | None] = []
    ids: list[str | None] = []
    seen: Counter[str] = Counter()
    root = f"{settings.dataset.rstrip('/')}/"
    for row, image in enumerate(opened.images(settings.image)):
        uris.append(None)
        ids.append(None)
        data: Any = image and image["bytes"]
        path: Any = image and image["path"]
        if data is None and path is None:
            continue
        if data is None and path.startswith(root):
            uris[row], ids[row] = path, path.removeprefix(root)
            continue
        data = Path(path).read_bytes() if data is None else data
        digest = hashlib.blake2b(data, digest_size=12).hexdigest()
        seen[digest] += 1
        again = f"-{seen[digest]}" if seen[digest] > 1 else ""
        ids[row] = f"{split}/{digest}{again}"
        for known, uri in pack.add(row, data):
            uris[known] = uri
    for known, uri in pack.close():
        uris[known] = uri
    return uris, ids


class _Pack:
    """Tar files that are filled one after another and named by their content."""

    def __init__(self, workspace: Location) -> None:
        self._workspace = workspace
        self._open()

    def _open(self) -> None:
        self._ranges: list[tuple[int, int, int]] = []
        self._sink = io.BytesIO()
        # Headers of one block each, without times or owners: the same images, the same bytes.
        self._tar = tarfile.open(fileobj=self._sink, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by close()

    def add(self, row: int, data: bytes) -> Iterator[tuple[int, str]]:
        """Append an image; where that closes a file, say which rows' images are where in it."""
        if self._sink.tell() > PACK:
            yield from self.close()
            self._open()
        member = tarfile.TarInfo(f"{len(self._ranges):08d}")
        member.size = len(data)
        self._ranges.append((row, self._sink.tell() + tarfile.BLOCKSIZE, len(data)))
        self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> Iterator[tuple[int, str]]:
        """Write the open file, if anything is in it, and say where its images are."""
        self._tar.close()
        if not self._ranges:
            return
        data = self._sink.getvalue()
        path = f"packed/{hashlib.blake2b(data, digest_size=12).hexdigest()}.tar"
        if not self._workspace.exists(path):
            self._workspace.create(path, data)
        for row, offset, size in self._ranges:
            yield row, part_of(self._workspace.uri(path), offset, size)
