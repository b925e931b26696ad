"""The pages of a Parquet file by their own headers, which are what Arrow takes memory by.

What a footer says of a column is nobody's promise: Arrow unpacks as many bytes as each page's
header says, whatever the footer does. Format: https://parquet.apache.org/docs/file-format/ and
Thrift's compact protocol.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DATA, DICTIONARY, DATA_V2 = 0, 2, 3
ABOUT = {DATA: 5, DICTIONARY: 7, DATA_V2: 8}
"""Kinds of pages that hold something, and where a header says what; others are skipped."""

ENCODINGS = {
    0: "PLAIN",
    2: "PLAIN_DICTIONARY",
    3: "RLE",
    4: "BIT_PACKED",
    5: "DELTA_BINARY_PACKED",
    6: "DELTA_LENGTH_BYTE_ARRAY",
    7: "DELTA_BYTE_ARRAY",
    8: "RLE_DICTIONARY",
    9: "BYTE_STREAM_SPLIT",
}
"""Names of the encodings."""

COUNTING = frozenset({"DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"})
"""Encodings that say within the page how many values there are, which Arrow believes."""

I16, I32, I64, BINARY, LIST, SET, STRUCT = 4, 5, 6, 8, 9, 10, 12
FIXED = {3: 1, 7: 8}
"""Types of Thrift, and the bytes of bytes and fractions; 1 and 2 are true and false."""

PADDING = 100
"""Bytes that Arrow may read on where a column should have ended: old writers counted wrong."""

DEEPEST = 8
"""Structures within one another; a page's header has three."""


@dataclass(frozen=True)
class Page:
    """One page of a column.

    Attributes:
        num_values: Number of its values, nulls among them, or of a dictionary's entries.
        num_bytes: Bytes that it takes unpacked.
        encoding: Name of its encoding.
        is_dictionary: Whether it is the dictionary that other pages point into.
        header: All of its header, by the numbers of the fields.
        body: What follows its header.
    """

    num_values: int
    num_bytes: int
    encoding: str
    is_dictionary: bool
    header: dict[int, Any]
    body: memoryview


def pages(data: memoryview, column: pq.ColumnChunkMetaData) -> Iterator[Page]:
    """Go through the pages of one column of a row group, as Arrow does.

    Raises:
        ValueError: a header is broken.
    """
    start = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
        start = column.dictionary_page_offset
    reader, seen, end = _Reader(data, start), 0, start + column.total_compressed_size + PADDING
    while seen < column.num_values and reader.position < min(end, len(data)):
        header = reader.structure()
        num_bytes, length = header.get(2, -1), header.get(3, -1)
        body = data[reader.position : reader.position + length]
        if num_bytes < 0 or not 0 <= length == len(body):
            raise ValueError(f"a page of column '{column.path_in_schema}' is broken")
        reader.position += length
        kind = header.get(1, -1)
        about = header.get(ABOUT.get(kind, -1))
        if about is None:
            continue
        num_values, encoding = about.get(1, -1), about.get(4 if kind == DATA_V2 else 2)
        if num_values < 0:
            raise ValueError(f"a page of column '{column.path_in_schema}' is broken")
        seen += 0 if kind == DICTIONARY else num_values
        name = ENCODINGS.get(encoding, f"encoding {encoding}")
        yield Page(num_values, num_bytes, name, kind == DICTIONARY, header, body)


def check_count(page: Page, column: pq.ColumnChunkMetaData, schema: pq.ColumnSchema) -> None:
    """Unpack a page whose encoding counts its values once more, and compare.

    Raises:
        ValueError: it counts more than its header says.
    """
    values = _values(page, column.compression, schema)
    if not values:
        return
    reader = _Reader(values, 0)
    is_within = reader.delta_lengths(skip=page.encoding == "DELTA_BYTE_ARRAY") <= page.num_values
    if is_within and page.encoding == "DELTA_BYTE_ARRAY":
        is_within = reader.delta_lengths(skip=False) <= page.num_values
    if not is_within:
        raise ValueError(
            f"a page of column '{column.path_in_schema}' says that it has {page.num_values:,} "
            "values and holds more"
        )


def _values(page: Page, compression: str, schema: pq.ColumnSchema) -> memoryview:
    """Unpack a page, and leave out what says which values are null or begin a list."""
    about, levels = page.header.get(8), 0
    is_packed = compression != "UNCOMPRESSED"
    if about is not None:
        levels = about.get(5, 0) + about.get(6, 0)
        is_packed = is_packed and about.get(7, True)
        if not 0 <= min(about.get(5, 0), about.get(6, 0)) <= levels <= len(page.body):
            raise ValueError(f"a page of column '{schema.path}' is broken")
    body = page.body[levels:]
    if is_packed:
        name = {"LZ4": "lz4_raw"}.get(compression, compression.lower())
        unpacked = pa.Codec(name).decompress(pa.py_buffer(body), page.num_bytes - levels)
        body = memoryview(unpacked).cast("B")
    if about is None:
        about = page.header[5]
        for most, coded in (
            (schema.max_repetition_level, about.get(4)),
            (schema.max_definition_level, about.get(3)),
        ):
            if most:
                if coded != 3:
                    raise ValueError(f"column '{schema.path}': levels coded as {coded}, not as RLE")
                body = body[4 + int.from_bytes(body[:4], "little") :]
    return body


class _Reader:
    """Reads Thrift's compact protocol, and what is coded with the same numbers."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data, self.position = data, position

    def byte(self) -> int:
        if not 0 <= self.position < len(self.data):
            raise ValueError("a page ends early")
        self.position += 1
        return self.data[self.position - 1]

    def number(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a page has a number that does not end")

    def signed(self, bits: int) -> int:
        """Read a number of which every second one is below zero, cut to some bits."""
        coded = self.number() & ((1 << bits) - 1)
        return (coded >> 1) ^ -(coded & 1)

    def structure(self, depth: int = 0) -> dict[int, Any]:
        """Read the fields that are whole numbers, truths, or structures of these."""
        fields: dict[int, Any] = {}
        number = 0
        while (byte := self.byte()) != 0:
            delta, kind = byte >> 4, byte & 15
            number = number + delta if delta else self.signed(16)
            if number in fields:
                raise ValueError("the header of a page says something twice")
            value = kind == 1 if kind in (1, 2) else self._value(kind, depth)
            if value is not None:
                fields[number] = value
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("the header of a page is too deep")
        if kind == STRUCT:
            return self.structure(depth + 1)
        if kind == I32:
            return self.signed(32)
        if kind in (LIST, SET):
            self._skip_list(depth)
        elif kind == BINARY:
            length = self.number()  # which moves on itself
            self.position += length
        elif kind in FIXED:
            self.position += FIXED[kind]
        else:
            self._skip_number(kind)
        return None

    def _skip_number(self, kind: int) -> None:
        if kind not in (I16, I64):  # a map, which no page's header has
            raise ValueError("the header of a page is broken")
        self.number()

    def _skip_list(self, depth: int) -> None:
        byte = self.byte()
        size, kind = byte >> 4, byte & 15
        for _ in range(self.number() if size == 15 else size):
            if kind in (1, 2):
                self.position += 1
            else:
                self._value(kind, depth + 1)
            self._within()

    def _within(self) -> None:
        if self.position > len(self.data):
            raise ValueError("a page ends early")

    def delta_lengths(self, *, skip: bool) -> int:
        """Read how many numbers are packed here, and go behind them where that is asked for."""
        size, num_parts, count, _ = self.number(), self.number(), self.number(), self.number()
        if not num_parts or size % num_parts or size // num_parts % 32 or not size:
            raise ValueError("a page has blocks of a size that cannot be")
        each, left = size // num_parts, count - 1
        while skip and left > 0:
            self.number()
            widths = self.data[self.position : self.position + num_parts]
            self.position += num_parts
            needed = min(num_parts, -(-left // each))
            self.position += each // 8 * sum(widths[:needed])
            left -= each * needed
            self._within()
        return count
