"""Vectors are those of the library, bit by bit; what a file says of itself is not believed."""

import struct
import time
from collections.abc import Sequence
from pathlib import Path

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.word_vectors import MAGIC, VERSION
from wslabel.errors import WeightsError
from wslabel.labeling.word_vectors import COUNTS, HEAD, MATRIX, WordVectors

SKIPGRAM, CBOW, SUPERVISED = 2, 1, 3
words = st.text("abcé漢😀xyz", min_size=1, max_size=8)


def write(
    path: Path,
    known: Sequence[str],
    *,
    subwords: tuple[int, int] = (0, 0),
    buckets: int = 0,
    labels: Sequence[str] = (),
    model: int = SKIPGRAM,
    dim: int = 5,
) -> Path:
    """Write a file with random vectors."""
    rng = np.random.default_rng(0)
    numbers = (dim, 5, 5, 1, 5, 1, 2, model, buckets, *subwords, 100, 1e-4)
    num = len(known)
    parts = [HEAD.pack(MAGIC, VERSION, *numbers)]
    parts.append(COUNTS.pack(num + len(labels), num, len(labels), num, -1))
    for kind, entries in enumerate((known, labels)):
        parts += [word.encode() + b"\0" + struct.pack("<qb", 1, kind) for word in entries]
    for rows in (num + buckets, num):
        values = rng.normal(size=(rows, dim)).astype("<f4")
        parts.append(MATRIX.pack(False, *values.shape) + values.tobytes())
    path.write_bytes(b"".join(parts))
    return path


@settings(deadline=None, max_examples=25)
@given(
    known=st.lists(words, min_size=1, max_size=8, unique=True),
    others=st.lists(words, max_size=6),
    shortest=st.integers(0, 4),
    longest=st.integers(0, 6),
    buckets=st.integers(1, 30),
    model=st.sampled_from([SKIPGRAM, CBOW]),
    has_label=st.booleans(),
)
def test_vectors_are_those_of_the_library(
    tmp_path_factory: pytest.TempPathFactory,
    known: list[str],
    others: list[str],
    shortest: int,
    longest: int,
    buckets: int,
    model: int,
    has_label: bool,
) -> None:
    path = write(
        tmp_path_factory.mktemp("vectors") / "v.bin",
        [*known, "</s>"],
        subwords=(shortest, longest),
        buckets=buckets if longest else 0,
        labels=["__label__x"] if has_label else [],
        model=model,
    )
    library = fasttext.load_model(str(path))
    asked = [*known, *others, "</s>"]
    ours = WordVectors(path, asked)
    for text in (*asked, " ".join(asked), ""):
        assert ours.sentence(text).tobytes() == library.get_sentence_vector(text).tobytes(), text


def test_real_vectors_are_those_of_the_library(networks: object) -> None:
    path: Path = networks.words  # type: ignore[attr-defined]
    library = fasttext.load_model(str(path))
    ours = WordVectors(path, library.words)
    for word in library.words:
        assert ours.sentence(word).tobytes() == library.get_sentence_vector(word).tobytes()


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def number(value: int) -> bytes:
    return struct.pack("<i", value)


SIZE = HEAD.size
"""Where the counts begin."""
DAMAGED = {
    "empty": (lambda d: b"", "cannot mmap an empty file"),
    "only a head": (lambda d: d[: HEAD.size], "the file ends too early"),
    "text": (lambda d: b"2 2\nsea 1 0\nforest 0 1\n" * 9, "it begins with other bytes"),
    "a newer version": (lambda d: patched(d, 4, number(99)), "version 99, expected 11 or 12"),
    "a classifier": (lambda d: patched(d, 8 + 28, number(SUPERVISED)), "it holds a classifier"),
    "more words than bytes": (lambda d: patched(d, SIZE, 2 * number(10**6)), "cannot be"),
    "more than can be": (lambda d: patched(d, SIZE, 2 * number(2**31 - 1)), "cannot be"),
    "a negative number of words": (lambda d: patched(d, SIZE, number(-5)), "cannot be"),
    "vectors of no numbers": (lambda d: patched(d, 8, number(0)), "cannot be"),
    "endless subwords": (lambda d: patched(d, 8 + 40, number(2**30)), "cannot be"),
    "negative buckets": (lambda d: patched(d, 8 + 32, number(-1)), "cannot be"),
    "missing buckets": (lambda d: patched(d, 8 + 32, number(2**30)), r"expected \(1073741"),
    "a word without an end": (lambda d: d[: SIZE + COUNTS.size] + b"a" * 99, "word 0 has no end"),
    "a matrix cut off": (lambda d: d[:-90], "the file ends before its 3 vectors of 5 numbers"),
    "quantized": (
        lambda d: d.replace(MATRIX.pack(False, 3, 5), MATRIX.pack(True, 3, 5), 1),
        "its vectors are quantized",
    ),
    "other numbers": (
        lambda d: d.replace(MATRIX.pack(False, 3, 5), MATRIX.pack(False, 2**40, 5)),
        "a matrix of 1099511627776 x 5, expected",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    change, message = DAMAGED[name]
    path = write(tmp_path / "v.bin", ["sea", "coast", "tree"])
    path.write_bytes(change(path.read_bytes()))
    begun = time.monotonic()
    with pytest.raises(WeightsError, match=f"v.bin: expected fastText's binary.*{message}"):
        WordVectors(path, ["sea"])
    assert time.monotonic() - begun < 2.0


@settings(deadline=None, max_examples=200)
@given(at=st.integers(0, 300), value=st.binary(min_size=1, max_size=8), end=st.integers(0, 400))
def test_whatever_a_file_holds_there_are_vectors_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: bytes, end: int
) -> None:
    path = write(
        tmp_path_factory.mktemp("vectors") / "v.bin", ["sea", "coast"], subwords=(2, 3), buckets=7
    )
    data = path.read_bytes()
    path.write_bytes((data[:at] + value + data[at + len(value) :])[: len(data) - max(0, end - 300)])
    try:
        vectors = WordVectors(path, ["sea", "unknown"])
        assert all(np.isfinite(vectors.sentence(word)).all() for word in ("sea", "unknown"))
    except WeightsError as error:
        assert "expected fastText's binary format" in str(error)  # noqa: PT017 - or none is raised


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "v.bin", ["sea"], dim=2)
    data = path.read_bytes()
    start = len(data) - 2 * (MATRIX.size + 8) + MATRIX.size
    path.write_bytes(patched(data, start, struct.pack("<f", float("nan"))))
    with pytest.raises(WeightsError, match="the vector of 'sea' is no vector of finite numbers"):
        WordVectors(path, ["sea"]).sentence("sea")
