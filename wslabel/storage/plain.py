"""Parquet files hold plain types alone: a type that a library adds to Arrow may run what it reads.

Ray Data's type for Python objects, for one, unpickles each value that is looked at, as soon as Ray
Data was imported; so a file from elsewhere with a column of it is a program.
"""

import base64
import binascii

import pyarrow.parquet as pq

_SCHEMA, _EXTENSION = b"ARROW:schema", b"ARROW:extension:name"
"""Where a footer holds Arrow's own schema, and what stands in that beside an added type."""


def has_added_types(footer: pq.FileMetaData) -> bool:
    """Tell whether a Parquet file asks for types that are not Arrow's own."""
    metadata = footer.metadata or {}
    try:
        schema = base64.b64decode(metadata.get(_SCHEMA, b""), validate=True)
    except binascii.Error:
        return True  # nothing that Arrow would read
    return _EXTENSION in schema
