"""Table source: a CSV or Parquet file with one uri per row, and columns that travel along."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from wslabel.errors import SourceError, nearest
from wslabel.settings import S3, TableSource
from wslabel.sources.fetch import unreadable
from wslabel.sources.listing import LISTING, check, truths
from wslabel.storage.location import Location


def read(settings: TableSource, s3: S3) -> pa.Table:
    """List the images of a table; uris without a scheme are relative to the table's folder.

    Raises:
        SourceError: a column is not there, or a row cannot be an image.
    """
    table = _parse(settings, s3)
    where = settings.path

    def column(name: str | None) -> pa.ChunkedArray:
        if name is None:
            return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
        return _as(pa.string(), table, name, where)

    uris = column(settings.uri)
    folder = where.rpartition("/")[0]
    absolute = pa.array([_absolute(uri, folder) for uri in uris.to_pylist()], pa.string())
    _refuse_schemes(absolute, where)
    ids = column(settings.image_id) if settings.image_id else uris
    truth = pa.array(truths(settings.classes, column(settings.truth).to_pylist()), pa.string())
    listing = pa.table([ids, absolute, column(settings.split_column), truth], schema=LISTING)
    for name in settings.metadata:
        values = _one(table, name, where)
        # A column without a value has no type yet.
        text = pa.types.is_null(values.type)
        listing = listing.append_column(name, values.cast(pa.string()) if text else values)
    return check(listing, where)


def _one(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    found = table.column_names.count(name)
    if found > 1:
        raise SourceError(f"{where}: {found} columns are called '{name}'")
    if not found:
        choice = nearest(name, table.column_names)
        raise SourceError(f"{where}: there is no column '{name}'; {choice}")
    return table.column(name)


def _as(kind: pa.DataType, table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    values = _one(table, name, where)
    try:
        return values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceError(
            f"{where}: column '{name}' is of type {values.type}; expected {kind}"
        ) from None


def _parse(settings: TableSource, s3: S3) -> pa.Table:
    path = settings.path
    parent, _, name = path.rpartition("/")
    if Path(path).is_dir():
        raise SourceError(f"{path}: this is a folder; expected a CSV or Parquet file")
    try:
        stream: pa.NativeFile = pa.BufferReader(Location(parent, s3).read(name))
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file") from None
    try:
        if name.endswith(".parquet"):
            table = pq.read_table(stream)
            table.validate(full=True)
        else:
            packed = pa.CompressedInputStream(stream, "gzip") if name.endswith(".gz") else stream
            table = _parse_csv(settings, packed.read_buffer())
        table.schema.names  # noqa: B018 - may be no text
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SourceError(f"{path}: expected CSV or Parquet: {reason}") from None
    return table


def _parse_csv(settings: TableSource, data: pa.Buffer) -> pa.Table:
    ours = (settings.uri, settings.image_id, settings.truth, settings.split_column)
    options = pacsv.ConvertOptions(
        # Guessed types would turn an id 007 into 7; an empty cell says that there is no value.
        column_types={name: pa.string() for name in ours if name is not None},
        strings_can_be_null=True,
        null_values=[""],
    )
    # Titles hold line breaks now and then.
    parsing = pacsv.ParseOptions(newlines_in_values=True)
    table = pacsv.read_csv(pa.BufferReader(data), parse_options=parsing, convert_options=options)
    if b'"' in memoryview(data).tobytes():
        _refuse_stray_quotes(data, table.num_rows)
    return table


def _refuse_stray_quotes(data: pa.Buffer, num_rows: int) -> None:
    """Read the rows again by the standard's letter: Arrow joins rows where a quote goes astray."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    csv.field_size_limit(2**31 - 1)
    rows = csv.reader(text, strict=True)
    found = -1  # the header
    try:
        for row in rows:
            found += bool(row)
    except csv.Error as error:
        raise pa.ArrowInvalid(f"line {rows.line_num}: {error}; is a quote not closed?") from None
    if found != num_rows:
        raise pa.ArrowInvalid(f"{found} rows by its quotes, {num_rows} without; is one astray?")


def _absolute(uri: str | None, folder: str) -> str | None:
    if uri is None or "://" in uri or uri.startswith("/"):
        return uri
    return f"{folder}/{uri}"


def _refuse_schemes(uris: pa.Array, where: str) -> None:
    pattern = r"^(?P<scheme>[^/]*?)://"
    schemes = pc.struct_field(pc.extract_regex(uris, pattern), "scheme")
    for scheme in pc.unique(schemes.drop_null()).to_pylist():
        if reason := unreadable(scheme):
            row = pc.index(schemes, scheme).as_py()
            raise SourceError(f"{where}: uri '{uris[row]}' in row {row} (from 0): {reason}")
