"""Of which images the rows of a file are: a digest of their ids, kept in the file's footer."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DIGESTS = b"wslabel.images"
"""Key in a footer: the digests of the file's shards, in their order, separated by commas."""


def digest(rows: pa.Table) -> str:
    """Hash the image ids of some rows, in their order, into sixteen hexadecimal digits.

    >>> digest(pa.table({"image_id": ["a", "bc"]})) == digest(pa.table({"image_id": ["ab", "c"]}))
    False
    """
    chunks = rows.column("image_id").cast(pa.string()).chunks
    ids = pa.concat_arrays([pa.array([], pa.string()), *chunks])
    _, ends, texts = ids.buffers()
    ends_N = np.frombuffer(ends or bytes(4), np.int32)[ids.offset :][: len(ids) + 1]
    # Lengths beside the bytes, or other ids could have the same bytes in all.
    hashed = hashlib.blake2b(np.diff(ends_N).tobytes(), digest_size=8)
    if texts is not None:
        hashed.update(texts[int(ends_N[0]) : int(ends_N[-1])])
    return hashed.hexdigest()


def digests_in(footer: pq.FileMetaData) -> list[str]:
    """Read the digests of a file's shards; none where the file does not say."""
    noted = (footer.metadata or {}).get(DIGESTS)
    return noted.decode().split(",") if noted else []
