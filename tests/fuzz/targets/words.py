"""Word vectors: a table of votes, or a refusal. The first byte says what the file is called."""

import random
import struct
from collections.abc import Iterator

import numpy as np

from tests import word_vectors
from tests.fuzz.refusals import scratch, see_that_it_is_clear
from tests.hostile.damage import NUMBERS, damaged
from wslabel.errors import WslabelError
from wslabel.labeling.words import match

READS = ("wslabel",)
WORDS = (struct.pack("<i", word_vectors.MAGIC), struct.pack("<i", 12), b"</s>", b"sea\0",
         b"__label__")  # fmt: skip

FOLDER = scratch()
NAMES = ("w.bin", "w.vec", "w.ftz")
CLASSES = {0: ["forest", "tree"], 1: ["sea", "Ocean"]}
CATEGORIES = ("seashore, coast", "rain forest", "oak tree", "toaster", "")
HEADER = 8 + 12 * 4 + 8 + 12 + 16
"""Bytes before the words: magic, arguments, sizes of the dictionary."""


def one_input(data: bytes) -> None:
    path = FOLDER / NAMES[(data[0] if data else 0) % len(NAMES)]
    path.write_bytes(data[1:])
    try:
        table = match(CATEGORIES, CLASSES, path)
    except WslabelError as error:
        see_that_it_is_clear(error)
        return
    assert set(table.votes_C.tolist()) <= {-1, *CLASSES}
    assert len(table.votes_C) == len(table.margins_C) == len(CATEGORIES)
    assert not np.isnan(table.margins_C).any(), "a margin that is no number"


def seeds() -> Iterator[bytes]:
    good = word_vectors.two_topics(FOLDER / "seed.bin").read_bytes()
    small = {word: np.eye(2)[number] for number, word in enumerate(("sea", "forest"))}
    yield b"\0" + good
    yield b"\0" + word_vectors.write(FOLDER / "seed.bin", small).read_bytes()
    yield b"\1" + b"2 2\nsea 1 0\nforest 0 1\n"
    yield b"\2" + good


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Put an odd number in one of the fields before the words, or damage the file anywhere."""
    body = bytearray(data[1:])
    if rng.random() < 0.5 or len(body) < HEADER:
        return data[:1] + damaged(bytes(body), rng)
    place = 8 + 4 * rng.randrange((HEADER - 8) // 4)
    number = rng.choice((*NUMBERS, 2, 3, 10, 100, 10_000, rng.getrandbits(32)))
    body[place : place + 4] = struct.pack("<I", number)
    return data[:1] + bytes(body)
