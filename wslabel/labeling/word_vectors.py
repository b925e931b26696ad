"""Word vectors in fastText's binary format, of which only the few that are needed are read.

Vectors come from strangers, and a file tells its own sizes: each is held against the file before
anything is read by it. Nothing but the words is gone through, and the matrix stays on the disk, so
seven gigabytes of vectors take no memory. Vectors are those of the library, bit by bit: the mean of
a word's own vector and those of its subwords, added up in float32.

The layout, little-endian: magic and version; twelve settings and a rate; counts of words; each
word, which a zero ends, with its count and type; whether the matrix is quantized; its rows, columns
and numbers, one row per word and then one per bucket of subwords.
"""

import mmap
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wslabel.errors import WeightsError

MAGIC, NEWEST = 793712314, 12
CBOW, SKIPGRAM = 1, 2
HEAD = struct.Struct("<ii12id")
COUNTS = struct.Struct("<iiiqq")
OF_WORD = struct.Struct("<qb")
MATRIX = struct.Struct("<?qq")
MOST_WORDS = 30_000_000
"""Words that the library itself can hold."""
LONGEST_WORD = 2**16
"""Bytes of the longest word."""
LONGEST_SUBWORD = 64
"""Letters of the longest subword."""
END_OF_LINE = "</s>"
"""Stands in the list of words and has no subwords."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where things are in a file.

    Attributes:
        dim: Length of a vector.
        shortest: Letters of the shortest subwords.
        longest: Letters of the longest subwords; 0 for none.
        num_buckets: Rows that subwords share.
        num_words: Words that have a row of their own.
        num_labels: Labels, which the words are followed by.
    """

    dim: int
    shortest: int
    longest: int
    num_buckets: int
    num_words: int
    num_labels: int


class WordVectors:
    """Vectors of words and of texts."""

    def __init__(self, path: Path, words: Iterable[str]) -> None:
        """Find the rows of some words.

        Args:
            path: File in fastText's binary format, without labels.
            words: Words whose vectors are asked for later.

        Raises:
            WeightsError: The file is of another format, damaged, or untrue about its sizes.
        """
        self._path = path
        with path.open("rb") as stream:
            try:
                self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:  # an empty file
                raise self._error(str(error)) from None
        self._layout = self._head()
        self._words = frozenset(words)
        self._rows, end = self._find({word.encode() for word in self._words})
        self._matrix = self._open_matrix(end)

    def sentence(self, text: str) -> np.ndarray:
        """Give the vector of a text: the mean of its words' vectors, each of length one.

        Words that are not known, and have no subwords either, do not count; a text without any
        known word is the zero vector.
        """
        total = np.zeros(self._layout.dim, np.float32)
        count = 0
        for word in text.split():
            vector, length = self._word(word)
            if length > 0:
                total += vector * np.float32(1.0 / length)
                count += 1
        return total * np.float32(1.0 / count) if count else total

    def _word(self, word: str) -> tuple[np.ndarray, float]:
        """Give the vector of a word and its length."""
        assert word in self._words
        rows = list(self._rows_of(word))
        vector = np.zeros(self._layout.dim, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            for row in rows:
                vector += self._matrix[row]
            vector *= np.float32(1.0 / max(1, len(rows)))
            length = float(np.sqrt(np.cumsum(vector * vector, dtype=np.float32)[-1]))
        if not np.isfinite(length):
            raise self._error(f"the vector of '{word}' is no vector of finite numbers")
        return vector, length

    def _rows_of(self, word: str) -> Iterator[int]:
        """Name the rows that a word's vector is the mean of: its own, and those of subwords."""
        own = self._rows.get(word.encode())
        if own is not None:
            yield own
        layout = self._layout
        if word == END_OF_LINE or not layout.longest or not layout.num_buckets:
            return
        for subword in subwords(word, layout.shortest, layout.longest):
            yield layout.num_words + hashed(subword.encode()) % layout.num_buckets

    def _error(self, reason: str) -> WeightsError:
        return WeightsError(f"{self._path}: expected fastText's binary format (.bin): {reason}")

    def _unpack(self, kind: struct.Struct, start: int) -> tuple[int, ...]:
        if start + kind.size > len(self._data):
            raise self._error("the file ends too early")
        return kind.unpack_from(self._data, start)

    def _head(self) -> _Layout:
        magic, version, dim, *others = self._unpack(HEAD, 0)
        if magic != MAGIC:
            raise self._error("it begins with other bytes")
        if version > NEWEST or version < 11:
            raise self._error(f"version {version}, expected 11 or {NEWEST}")
        model, buckets, shortest, longest = others[6], others[7], others[8], others[9]
        if model not in (CBOW, SKIPGRAM):
            raise self._error("it holds a classifier, expected word vectors (skipgram or cbow)")
        size, words, labels, _, pruned = self._unpack(COUNTS, HEAD.size)
        is_sound = dim > 0 and buckets >= 0 and 0 <= longest <= LONGEST_SUBWORD
        is_sound = is_sound and 0 <= words <= MOST_WORDS and 0 <= labels == size - words
        if not is_sound or pruned >= 0 or size * (1 + OF_WORD.size) > len(self._data):
            raise self._error(
                f"{size} entries of {words} words and {labels} labels, {dim} numbers each, "
                f"{buckets} buckets, and subwords of up to {longest} letters cannot be"
            )
        return _Layout(
            dim=dim,
            shortest=shortest,
            longest=longest,
            num_buckets=buckets,
            num_words=words,
            num_labels=labels,
        )

    def _find(self, wanted: set[bytes]) -> tuple[dict[bytes, int], int]:
        """Go through the words; give the rows of those wanted, and where the words end."""
        rows: dict[bytes, int] = {}
        data, at = self._data, HEAD.size + COUNTS.size
        num_words = self._layout.num_words
        for row in range(num_words + self._layout.num_labels):
            end = data.find(b"\0", at, at + LONGEST_WORD)
            if end < 0:
                raise self._error(f"word {row} has no end")
            word = data[at:end]
            if word in wanted and row < num_words:
                rows[word] = row
            at = end + 1 + OF_WORD.size
        return rows, at

    def _open_matrix(self, start: int) -> np.ndarray:
        is_quantized, rows, columns = self._unpack(MATRIX, start)
        layout = self._layout
        if is_quantized:
            raise self._error("its vectors are quantized (.ftz), which is not supported")
        expected = (layout.num_words + layout.num_buckets, layout.dim)
        if (rows, columns) != expected:
            raise self._error(f"a matrix of {rows} x {columns}, expected {expected}")
        if 4 * rows * columns > len(self._data) - start - MATRIX.size:
            raise self._error(f"the file ends before its {rows} vectors of {columns} numbers")
        numbers = np.frombuffer(self._data, "<f4", rows * columns, start + MATRIX.size)
        return numbers.reshape(expected)


def subwords(word: str, shortest: int, longest: int) -> Iterator[str]:
    """Give the parts of a word in brackets, but for single brackets, in the library's order.

    >>> list(subwords("sea", 3, 4))
    ['<se', '<sea', 'sea', 'sea>', 'ea>']
    """
    bracketed = f"<{word}>"
    for start in range(len(bracketed)):
        for length in range(max(1, shortest), longest + 1):
            end = start + length
            if end > len(bracketed):
                break
            if length > 1 or 0 < start < len(bracketed) - 1:
                yield bracketed[start:end]


def hashed(data: bytes) -> int:
    """Hash bytes as the library does: FNV-1a of 32 bits, with bytes that have a sign.

    >>> hashed(b"sea"), hashed("é".encode())
    (3106337420, 1023043777)
    """
    value = 2166136261
    for byte in data:
        signed = byte | 0xFFFFFF00 if byte & 0x80 else byte
        value = ((value ^ signed) * 16777619) & 0xFFFFFFFF
    return value
