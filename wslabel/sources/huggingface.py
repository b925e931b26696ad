"""Hugging Face source: a data set of the library `datasets`, local or from the hub.

Images that are files stay where they are. Images that lie in Arrow or Parquet files are packed
into tar files of the workspace once, so that every worker fetches its range of bytes from there;
packing again writes the same files, so a killed ingest goes on where it ended.
"""

import io
import os
import tarfile
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
        ids = [str(value) for value in rows[settings.image_id]]
    columns: dict[str, Any] = {"image_id": ids, "uri": uris, "split": [ours] * len(ids)}
    columns["truth"] = truths(settings.classes, _names(rows, settings.truth))
    table = pa.table(columns, schema=LISTING)
    for column in settings.metadata:
        table = table.append_column(column, pa.array(_names(rows, column), pa.string()))
    return table


def _load(settings: HuggingFace, split: str) -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
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
) -> tuple[list[str | None], list[str]]:
    """Say where each image is, and call it by its path in the data set or its row."""
    pack = _Pack(workspace, f"packed/{split}-{rows._fingerprint}")
    uris: list[str | None] = []
    ids = []
    root = f"{Path(settings.dataset).resolve()}/"
    for number, image in enumerate(_images(rows, settings.image)):
        ids.append(f"{split}/{number:08d}")
        if image is None:
            uris.append(None)
        elif image["bytes"] is not None:
            uris.append(pack.add(f"{number:08d}", image["bytes"]))
        else:
            uris.append(image["path"])
            ids[-1] = image["path"].removeprefix(root)
    pack.close()
    return uris, ids


def _images(rows: Any, column: str) -> Iterator[dict[str, Any] | None]:
    plain = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    for batch in plain.with_format("arrow").iter(ROWS):
        yield from batch.column(column).to_pylist()


class _Pack:
    """Tar files that are filled one after another; what is there already is not written again."""

    def __init__(self, workspace: Location, name: str) -> None:
        self._workspace = workspace
        self._name = name
        self._number = 0
        self._open()

    def _open(self) -> None:
        self._path = f"{self._name}-{self._number:05d}.tar"
        self._sink = io.BytesIO()
        # Headers of one block each, without times or owners: the same images, the same bytes.
        self._tar = tarfile.open(fileobj=self._sink, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by close()

    def add(self, name: str, data: bytes) -> str:
        """Append an image and give its uri."""
        if self._sink.tell() > PACK:
            self.close()
            self._number += 1
            self._open()
        member = tarfile.TarInfo(name)
        member.size = len(data)
        offset = self._sink.tell() + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(data))
        return part_of(self._workspace.uri(self._path), offset, len(data))

    def close(self) -> None:
        """Write the open file, if anything is in it."""
        empty = self._sink.tell() == 0
        self._tar.close()
        if not empty and not self._workspace.exists(self._path):
            self._workspace.create(self._path, self._sink.getvalue())
