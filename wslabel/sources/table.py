"""Table source: a CSV or Parquet file with one uri per row, and columns that travel along."""

import csv
import io
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from wslabel.config.base import S3
from wslabel.config.paths import ExistingPath
from wslabel.errors import SourceError, nearest
from wslabel.sources.fetch import unreadable
from wslabel.sources.listing import LISTING, check, truths
from wslabel.sources.source import MetadataNames, SourceConfig, SourceContext
from wslabel.storage.location import Location


class TableConfig(SourceConfig):
    """The rows of a CSV or Parquet file, one image each.

    Attributes:
        source: Name of this kind of source.
        path: CSV or Parquet file (.csv, .csv.gz, .parquet), on disk or S3.
        uri: Column of the images' uris; one without a scheme is relative to the file's folder.
        image_id: Column of the images' ids, which are unique; null takes the uris.
        truth: Column of the source's own names of classes; null leaves all images without truth.
        split_column: Column that says train, val or test, or nothing where the split is drawn;
            null has the split of every image drawn.
        metadata: Columns that travel along, for labeling functions to read.
        classes: Values of `truth` that stand for each class; null takes them as they are.
    """

    source: Literal["table"]
    path: ExistingPath
    uri: str = "uri"
    image_id: str | None = None
    truth: str | None = None
    split_column: str | None = None
    metadata: MetadataNames = []
    classes: dict[str, str | list[str]] | None = None

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"path"}

    @property
    def known_elsewhere(self) -> Literal["other", "refused"]:
        """Say that a path beside another table is another image; ids of people are refused."""
        return "other" if self.image_id is None else "refused"

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the images of a table; uris without a scheme are relative to the table's folder.

        Raises:
            SourceError: a column is not there, or a row cannot be an image.
        """
        table = _parse(self, context.s3)

        def column(name: str | None) -> pa.ChunkedArray:
            if name is None:
                return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
            return _text_column(table, name, self.path)

        uris = column(self.uri)
        folder = self.path.rpartition("/")[0]
        absolute = pa.array([_absolute(uri, folder) for uri in uris.to_pylist()], pa.string())
        _refuse_schemes(absolute, self.path)
        ids = column(self.image_id) if self.image_id else uris
        truth = pa.array(truths(self.classes, column(self.truth).to_pylist()), pa.string())
        listing = pa.table([ids, absolute, column(self.split_column), truth], schema=LISTING)
        for name in self.metadata:
            values = _column(table, name, self.path)
            # A column without a value has no type yet.
            has_type = not pa.types.is_null(values.type)
            listing = listing.append_column(name, values if has_type else values.cast(pa.string()))
        return check(listing, self.path)


def _column(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    times = table.column_names.count(name)
    if times > 1:
        raise SourceError(f"{where}: {times} columns are called '{name}'")
    if not times:
        choice = nearest(name, table.column_names)
        raise SourceError(f"{where}: there is no column '{name}'; {choice}")
    return table.column(name)


def _text_column(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    values = _column(table, name, where)
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceError(
            f"{where}: column '{name}' is of type {values.type}; expected {pa.string()}"
        ) from None


def _parse(settings: TableConfig, s3: S3) -> pa.Table:
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


def _parse_csv(settings: TableConfig, data: pa.Buffer) -> pa.Table:
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
    num_quoted = -1  # the header
    try:
        for row in rows:
            num_quoted += bool(row)
    except csv.Error as error:
        raise pa.ArrowInvalid(f"line {rows.line_num}: {error}; is a quote not closed?") from None
    if num_quoted != num_rows:
        raise pa.ArrowInvalid(
            f"{num_quoted} rows by its quotes, {num_rows} without; is one astray?"
        )


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
