"""Hugging Face source: a data set of the library `datasets`, local or from the hub.

Files of a local data set stay where they are. Images that lie in Arrow or Parquet files, or in the
cache of this machine, are packed into tar files of the workspace, so that every worker fetches its
range of bytes from there. Tar files are named by their content, so packing again adds nothing, and
such images by theirs, so that a data set may grow anywhere.
"""

import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

from wslabel.errors import SourceError, nearest
from wslabel.settings import HuggingFace
from wslabel.sources.fetch import part_of
from wslabel.sources.listing import LISTING, check, truths
from wslabel.storage.location import Location

PACK = 64 * 2**20
"""Bytes of images after which a tar file is closed."""

ROWS = 256
"""Rows read at a time."""


def read(settings: HuggingFace, workspace: Location) -> pa.Table:
    """List the images of a data set.

    Raises:
        SourceError: there is no such data set, split or column.
    """
    datasets.disable_progress_bars()
    parts = [_split(settings, name, ours, workspace) for name, ours in settings.splits.items()]
    return check(pa.concat_tables(parts), settings.dataset)


def _split(settings: HuggingFace, name: str, ours: str | None, workspace: Location) -> pa.Table:
    rows = _load(settings, name)
    wanted = [settings.image, settings.image_id, settings.truth, *settings.metadata]
    for column in wanted:
        if column is not None and column not in rows.column_names:
            choice = nearest(column, rows.column_names)
            raise SourceError(f"{settings.dataset}: there is no column '{column}'; {choice}")
    if not isinstance(rows.features[settings.image], datasets.Image):
        raise SourceError(f"{settings.dataset}: the column '{settings.image}' holds no images")
    uris, ids = _uris(settings, name, rows, workspace)
    if settings.image_id is not None:
        ids = _names(rows, settings.image_id)
    columns: dict[str, Any] = {"image_id": ids, "uri": uris, "split": [ours] * len(ids)}
    columns["truth"] = truths(settings.classes, _names(rows, settings.truth))
    table = pa.table(columns, schema=LISTING)
    for column in settings.metadata:
        table = table.append_column(column, pa.array(_names(rows, column), pa.string()))
    return table


def _load(settings: HuggingFace, split: str) -> Any:
    try:
        found = datasets.load_dataset(
            settings.dataset, settings.subset, split=split, revision=settings.revision
        )
    except (datasets.exceptions.DatasetsError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SourceError(f"images.dataset '{settings.dataset}', {split}: {reason}") from None
    return found


def _names(rows: Any, column: str | None) -> list[str | None]:
    """Read a column as text; the numbers of classes become their names."""
    if column is None:
        return [None] * len(rows)
    feature = rows.features[column]
    if isinstance(feature, datasets.ClassLabel):
        # The hub's data sets write -1 where there is no label.
        return [None if k is None or k < 0 else feature.int2str(k) for k in rows[column]]
    return [None if value is None else str(value) for value in rows[column]]


def _uris(
    settings: HuggingFace, split: str, rows: Any, workspace: Location
) -> tuple[list[str | None], list[str | None]]:
    """Say where each image is, and call it by its path in the data set or a hash of its bytes."""
    pack = _Pack(workspace)
    uris: list[str | None] = []
    ids: list[str | None] = []
    seen: Counter[str] = Counter()
    root = f"{settings.dataset.rstrip('/')}/"
    for row, image in enumerate(_images(rows, settings.image)):
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


def _images(rows: Any, column: str) -> Iterator[Any]:
    plain = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    for batch in plain.with_format("arrow").iter(ROWS):
        yield from batch.column(column).to_pylist()


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
