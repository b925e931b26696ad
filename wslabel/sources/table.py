"""Table source: a CSV or Parquet file with one uri per row, and columns that travel along."""

from pathlib import Path
from posixpath import normpath
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from wslabel.config.base import S3
from wslabel.config.paths import ExistingPath
from wslabel.errors import SourceError
from wslabel.sources.allowed import refuse_uris
from wslabel.sources.delimited import read_csv
from wslabel.sources.listing import LISTING, check, truths
from wslabel.sources.measured import refuse_large, unpacked
from wslabel.sources.parquet import read_parquet
from wslabel.sources.source import MetadataNames, SourceConfig, SourceContext
from wslabel.storage.location import Location
from wslabel.uri import shown

UPWARDS = r"(^|/)\.\.(/|$)"
"""A path that goes up."""


class TableConfig(SourceConfig):
    """The rows of a CSV or Parquet file, one image each.

    Attributes:
        source: Name of this kind of source.
        path: CSV or Parquet file (.csv, .csv.gz, .parquet), on disk or S3.
        uri: Column of the images' uris; one without a scheme is relative to the file's folder.
        image_id: Column of the images' ids, which are unique; null takes the uris, without
            signatures where they are presigned.
        truth: Column of the source's own names of classes; null leaves all images without truth.
        split_column: Column that says train, val or test, or nothing where the split is drawn;
            null has the split of every image drawn.
        metadata: Columns that travel along, for labeling functions to read.
        classes: Values of `truth` that stand for each class; null takes them as they are.
        follow_links: Whether symbolic links in the table's folder are followed that lead out of
            it; otherwise such images are not read.
    """

    source: Literal["table"]
    path: ExistingPath
    uri: str = "uri"
    image_id: str | None = None
    truth: str | None = None
    split_column: str | None = None
    metadata: MetadataNames = []
    classes: dict[str, str | list[str]] | None = None
    follow_links: bool = False

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"path", "follow_links"}
    links_elsewhere: ClassVar[bool] = True

    @property
    def known_elsewhere(self) -> Literal["other", "refused"]:
        """Say that a path beside another table is another image; ids of people are refused."""
        return "other" if self.image_id is None else "refused"

    @property
    def own_places(self) -> tuple[str, ...]:
        """Name the table's folder."""
        return (self.path.rpartition("/")[0] or "/",)

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the images of a table; uris without a scheme are relative to the table's folder.

        Raises:
            SourceError: a column is not there, or a row cannot be an image.
        """
        table = _parse(self, context.s3)
        refuse_large(table.nbytes, table.num_rows, self.path)

        def column(name: str | None) -> pa.ChunkedArray:
            if name is None:
                return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
            return _text_column(table, name, self.path)

        uris = column(self.uri)
        absolute = _located(uris, self.path)
        refuse_uris(absolute, self.path, self.allowed(context.workspace.root))
        ids = _without_signatures(column(self.image_id) if self.image_id else uris)
        truth = pa.array(truths(self.classes, column(self.truth).to_pylist()), pa.string())
        listing = pa.table([ids, absolute, column(self.split_column), truth], schema=LISTING)
        for name in self.metadata:
            values = table.column(name)
            # A column without a value has no type yet.
            has_type = not pa.types.is_null(values.type)
            listing = listing.append_column(name, values if has_type else values.cast(pa.string()))
        return check(listing, self.path)

    @property
    def _ours(self) -> tuple[str, ...]:
        names = (self.uri, self.image_id, self.truth, self.split_column)
        return tuple(name for name in names if name is not None)


def _text_column(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    values = table.column(name)
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceError(
            f"{where}: column '{name}' is of type {values.type}; expected {pa.string()}"
        ) from None


def _parse(settings: TableConfig, s3: S3) -> pa.Table:
    """Read the columns that are asked for."""
    path, names = settings.path, [*settings._ours, *settings.metadata]
    data = _read(path, s3)
    try:
        if path.endswith(".parquet"):
            return read_parquet(data, names, path)
        if path.endswith(".gz"):
            packed = pa.CompressedInputStream(pa.BufferReader(data), "gzip")
            data = unpacked(packed, path)
        # Guessed types would turn an id 007 into 7.
        return read_csv(data, settings._ours, settings.metadata, path)
    except SourceError:
        raise
    except (ValueError, KeyError, pa.ArrowNotImplementedError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SourceError(f"{path}: expected CSV or Parquet: {reason}") from None


def _read(path: str, s3: S3) -> pa.Buffer:
    folder, _, name = path.rpartition("/")
    if Path(path).is_dir():
        raise SourceError(f"{path}: this is a folder; expected a CSV or Parquet file")
    place = Location(folder, s3)
    entry = place.entry(name)
    if entry is None:
        raise SourceError(f"{path}: there is no such file")
    refuse_large(entry.size, 0, path)
    return place.read(name)


def _without_signatures(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take signatures out of ids that are presigned uris: ids stand on pages and in exports."""
    if not pc.any(pc.match_substring_regex(ids, "://.*[?@]")).as_py():
        return ids
    return pa.chunked_array([[None if i is None else shown(i) for i in ids.to_pylist()]])


def _located(uris: pa.ChunkedArray, where: str) -> pa.Array:
    """Make relative uris absolute; what the table may not name is refused.

    Who wrote a table that lies elsewhere knows nothing of this machine's files, and has no say in
    which of them are read.
    """
    folder, is_remote = where.rpartition("/")[0], "://" in where
    is_local = pc.match_substring_regex(uris, "(?i)(^|::)(/|(file|local):)")
    if is_remote and pc.any(is_local).as_py():
        row = pc.index(is_local, True).as_py()
        raise SourceError(
            f"{where}: uri '{uris[row]}' in row {row} (from 0) names a file of this machine; a "
            "table that lies elsewhere may name none: copy it here if it is yours"
        )
    goes_up = pc.and_not(pc.match_substring_regex(uris, UPWARDS), _is_absolute(uris))
    for uri in uris.filter(goes_up).to_pylist():
        if normpath(uri).partition("/")[0] == "..":
            raise SourceError(
                f"{where}: uri '{uri}' in row {pc.index(uris, uri).as_py()} (from 0) leads out of "
                "the table's folder; expected a path below it, or an absolute one"
            )
    absolute = pc.if_else(_is_absolute(uris), uris, pc.binary_join_element_wise(folder, uris, "/"))
    return absolute.combine_chunks()


def _is_absolute(uris: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(uris, "^(/|[^/?#]*://)")
