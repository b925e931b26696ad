"""Table source: a CSV or Parquet file with one uri per row, and columns that travel along."""

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
        if name not in table.column_names:
            choice = nearest(name, table.column_names)
            raise SourceError(f"{where}: there is no column '{name}'; {choice}")
        return table.column(name).cast(pa.string())

    uris = column(settings.uri)
    folder = where.rpartition("/")[0]
    absolute = pa.array([_absolute(uri, folder) for uri in uris.to_pylist()], pa.string())
    _refuse_schemes(absolute, where)
    ids = column(settings.image_id) if settings.image_id else uris
    truth = pa.array(truths(settings.classes, column(settings.truth).to_pylist()), pa.string())
    listing = pa.table([ids, absolute, column(settings.split_column), truth], schema=LISTING)
    for name in settings.metadata:
        column(name)
        listing = listing.append_column(name, table.column(name))
    return check(listing, where)


def _parse(settings: TableSource, s3: S3) -> pa.Table:
    path = settings.path
    parent, _, name = path.rpartition("/")
    try:
        stream = pa.BufferReader(Location(parent, s3).read(name))
        return pq.read_table(stream) if name.endswith(".parquet") else _parse_csv(settings, stream)
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file") from None
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{path}: expected CSV or Parquet: {reason}") from None


def _parse_csv(settings: TableSource, stream: pa.NativeFile) -> pa.Table:
    ours = (settings.uri, settings.image_id, settings.truth, settings.split_column)
    options = pacsv.ConvertOptions(
        # Guessed types would turn an id 007 into 7; an empty cell says that there is no value.
        column_types={name: pa.string() for name in ours if name is not None},
        strings_can_be_null=True,
        null_values=[""],
    )
    return pacsv.read_csv(stream, convert_options=options)


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
