"""Hugging Face source: a data set of the library `datasets`, local or from the hub.

Files of a local data set stay where they are. Images that lie in Arrow or Parquet files, or in the
cache of this machine, are packed into tar files of the workspace, so that every worker fetches its
range of bytes from there. Such images are named by their content, so that a data set may grow
anywhere.

A data set comes from strangers, and its rows and its card name files as they like: none is read but
those of the data set itself.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import ValidationInfo, field_validator

from wslabel.config.base import S3
from wslabel.config.extras import absence
from wslabel.config.paths import existing, place
from wslabel.errors import SourceError, nearest
from wslabel.sources.allowed import place_of
from wslabel.sources.image_header import is_image
from wslabel.sources.listing import LISTING, check, truths
from wslabel.sources.opened import opened, read, real_path
from wslabel.sources.pack import Pack
from wslabel.sources.source import MetadataNames, SourceConfig, SourceContext
from wslabel.storage.location import Location
from wslabel.storage.walk import is_below

ROWS = 256
"""Rows read at a time."""

ELSEWHERE = "rows that name a file outside of the data set"
ABSENT = "rows that name a file that is not there"
NO_IMAGE = "rows that name a file that is no image"
"""Why a row is left out."""

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
        follow_links: Whether symbolic links of a local data set are followed that lead out of it;
            otherwise such images are left out.
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
    follow_links: bool = False

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"dataset", "follow_links"}

    @field_validator("dataset")
    @classmethod
    def _folder_or_name(cls, value: str, info: ValidationInfo) -> str:
        # What could be a name on the hub, and is no folder beside the project file, is one.
        path = place(value, info)
        if _ON_HUB.fullmatch(value) and not Path(path).exists():
            return value
        return existing(value, info)

    @property
    def is_local(self) -> bool:
        """Tell whether it is a folder and no name on the hub."""
        return self.dataset.startswith("/")

    @property
    def known_elsewhere(self) -> Literal["other", "refused"]:
        """Say that the same path in another folder is another image; ids of people are refused."""
        return "other" if self.image_id is None else "refused"

    @property
    def own_places(self) -> tuple[str, ...]:
        """Name the data set."""
        return (self.dataset,) if self.dataset.startswith("/") else ()

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the images of a data set.

        Raises:
            SourceError: there is no such data set, split or column, or the library is absent.
        """
        parts = [_listing(self, name, ours, context) for name, ours in self.splits.items()]
        return check(pa.concat_tables(parts), self.dataset, context.skipped)

    def listing_state(self, s3: S3) -> object:
        """List the files of a local data set; of one on the hub, the settings say all."""
        if not self.is_local:
            return []
        files = Location(self.dataset).files("", recursive=True, follow_links=True)
        return [entry.state for entry in files]


@dataclass(frozen=True)
class _Rows:
    """One split of a data set, read as plain values; the door to the library `datasets`.

    Attributes:
        library: The library.
        rows: The split, as the library opens it.
        roots: Real folders that hold the files of the data set.
    """

    library: Any
    rows: Any
    roots: tuple[str, ...]

    def names(self, column: str | None) -> list[str | None]:
        """Read a column as text; the numbers of classes become their names."""
        if column is None:
            return [None] * len(self.rows)
        # As plain values: the library would decode what a stranger's column says is an image.
        feature = self.rows.features[column]
        values = self._plain(column)
        if isinstance(feature, self.library.ClassLabel):
            # The hub's data sets write -1 where there is no label.
            return [None if k is None or k < 0 else feature.int2str(k) for k in values]
        return [None if value is None else str(value) for value in values]

    def _plain(self, column: str) -> Iterator[Any]:
        """Read a column value by value, since one of them may be large."""
        plain = self.rows.select_columns([column]).with_format("arrow")
        for batch in plain.iter(ROWS):
            yield from (value.as_py() for value in batch.column(column))

    def holds_images(self, column: str) -> bool:
        """Tell whether a column holds images."""
        return isinstance(self.rows.features[column], self.library.Image)

    def images(self, column: str) -> Iterator[Any]:
        """Read a column of images, each as its bytes and path, or None."""
        undecoded = self.library.Image(decode=False)
        rows = self.rows.cast_column(column, undecoded)
        yield from _Rows(self.library, rows, self.roots)._plain(column)


def _open(settings: HuggingFaceConfig, split: str) -> _Rows:
    reason = absence("huggingface")
    if reason is not None:
        raise SourceError(f"images.source: {reason}")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    import datasets  # noqa: PLC0415 - an extra
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415 - comes with it

    datasets.disable_progress_bars()
    where = f"images.dataset '{settings.dataset}', {split}"
    try:
        builder = datasets.load_dataset_builder(
            settings.dataset, settings.subset, revision=settings.revision
        )
        files = [str(file) for part in (builder.config.data_files or {}).values() for file in part]
        _refuse_elsewhere(settings, files, where)
        builder.download_and_prepare()
        rows = builder.as_dataset(split=split)
    except SourceError:
        raise
    except Exception as error:  # of whatever type a stranger's files make the library raise
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise SourceError(f"{where}: {reason} ({type(error).__name__})") from error
    roots = [settings.dataset]
    if not settings.is_local:
        kept = f"{HF_HUB_CACHE}/datasets--{settings.dataset.replace('/', '--')}"
        roots = [kept, str(datasets.config.DOWNLOADED_DATASETS_PATH)]
    return _Rows(datasets, rows, tuple(os.path.realpath(root) for root in roots))


def _refuse_elsewhere(settings: HuggingFaceConfig, files: Iterable[str], where: str) -> None:
    """Refuse what a data set's card says is a file of it and is not."""
    top = os.path.realpath(settings.dataset)
    for file in files:
        if settings.is_local:
            full = os.path.normpath(file) if settings.follow_links else os.path.realpath(file)
            is_own = "://" not in file and is_below(full, top)
        else:
            is_own = _is_of(file, settings.dataset)
        if not is_own:
            is_link = settings.is_local and is_below(os.path.normpath(file), top)
            hint = " (follow_links: true takes it)" if is_link else ""
            raise SourceError(
                f"{where}: the data set names '{file}', which lies outside of it{hint}; nothing "
                "was read"
            )


def _is_of(file: str, dataset: str) -> bool:
    """Tell whether a file on the hub is of a data set, whatever other one a card may name.

    Another one would be read with the user's token, which may open what its author cannot.
    """
    is_own = file.casefold().startswith(f"hf://datasets/{dataset}@".casefold())
    return is_own and place_of(file) is not None


def _listing(
    settings: HuggingFaceConfig, split: str, ours: str | None, context: SourceContext
) -> pa.Table:
    opened = _open(settings, split)
    _refuse_missing(settings, opened)
    uris, ids, left_out = _uris(settings, split, opened, context.workspace)
    context.skipped.update(left_out.values())
    if settings.image_id is not None:
        ids = opened.names(settings.image_id)
    columns: dict[str, Any] = {"image_id": ids, "uri": uris, "split": [ours] * len(ids)}
    columns["truth"] = truths(settings.classes, opened.names(settings.truth))
    listing = pa.table(columns, schema=LISTING)
    for column in settings.metadata:
        listing = listing.append_column(column, pa.array(opened.names(column), pa.string()))
    return listing.filter(pa.array([row not in left_out for row in range(len(ids))]))


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
) -> tuple[list[str | None], list[str | None], dict[int, str]]:
    """Say where each image is, and call it by its path in the data set or a hash of its bytes.

    Returns:
        Uris, ids, and why some rows have none.
    """
    pack, files = Pack(workspace), _Files(settings, opened.roots)
    uris: list[str | None] = []
    ids: list[str | None] = []
    left_out: dict[int, str] = {}
    seen: Counter[str] = Counter()
    for row, image in enumerate(opened.images(settings.image)):
        uris.append(None)
        ids.append(None)
        data: Any = image and image["bytes"]
        path: Any = image and image["path"]
        if data is None and path is None:
            continue
        try:
            if data is None and settings.is_local:
                ids[row] = files.below(path)
                uris[row] = f"{settings.dataset.rstrip('/')}/{ids[row]}"
                continue
            data = files.read(path) if data is None else data
        except _LeftOut as error:
            left_out[row] = str(error)
            continue
        digest = hashlib.blake2b(data, digest_size=12).hexdigest()
        seen[digest] += 1
        again = f"-{seen[digest]}" if seen[digest] > 1 else ""
        ids[row] = f"{split}/{digest}{again}"
        for known, uri in pack.add(row, data):
            uris[known] = uri
    for known, uri in pack.close():
        uris[known] = uri
    return uris, ids, left_out


class _LeftOut(Exception):
    """Why a row is left out."""


@dataclass(frozen=True)
class _Files:
    """The files of a data set that rows name.

    Attributes:
        settings: The data set.
        roots: Real folders that hold them.
    """

    settings: HuggingFaceConfig
    roots: tuple[str, ...]

    def below(self, path: str) -> str:
        """Give the path of a file below a local data set.

        Raises:
            _LeftOut: it is not below.
        """
        full = os.path.normpath(os.path.join(self.settings.dataset, path))
        is_own = "://" not in path and (self.settings.follow_links or self._has(full))
        for root in (os.path.normpath(self.settings.dataset), *self.roots):
            if is_own and is_below(full, root) and full != root:
                return os.path.relpath(full, root)
        raise _LeftOut(ELSEWHERE)

    def read(self, path: str) -> bytes:
        """Read an image that lies in a cache of the library.

        Raises:
            _LeftOut: it is elsewhere, not there, or no image.
        """
        if not os.path.isabs(path) or not self._has(path):
            raise _LeftOut(ELSEWHERE)
        try:
            with opened(path) as file:
                if not self._holds(real_path(file, path)):
                    raise _LeftOut(ELSEWHERE)
                data = read(file, os.fstat(file).st_size, 0)
        except FileNotFoundError:
            raise _LeftOut(ABSENT) from None
        if not is_image(data):
            raise _LeftOut(NO_IMAGE)
        return data

    def _has(self, path: str) -> bool:
        if "\0" in path:  # the system's calls take no such path
            return False
        return self._holds(os.path.realpath(path))

    def _holds(self, real: str) -> bool:
        return any(is_below(real, root) for root in self.roots)
