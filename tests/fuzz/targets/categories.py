"""A classifier's class list: its names, one a line, or a refusal."""

import random
from collections.abc import Iterator

from tests.fuzz.refusals import scratch, see_that_it_is_clear
from tests.hostile.damage import damaged
from wslabel.errors import WslabelError
from wslabel.features.classifier import Categories, ClassifierConfig

READS = ("wslabel",)
WORDS = (b"\xef\xbb\xbf", b"\r\n", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff\xfe", b"\0")

LIST = scratch() / "names.txt"
CLASSIFIER = ClassifierConfig.model_construct(
    kind="classifier", categories=Categories.model_construct(file=str(LIST), skip_lines=1)
)


def one_input(data: bytes) -> None:
    LIST.write_bytes(data)
    try:
        names = CLASSIFIER.names()
    except WslabelError as error:
        see_that_it_is_clear(error)
        return
    assert all(name and name == name.strip() for name in names)
    assert len(names) <= data.count(b"\n") + data.count(b"\r"), "more names than lines"


def seeds() -> Iterator[bytes]:
    yield b"background\nseashore, coast\nrain forest\n\nfishing boat\r\n"
    yield "\ufeffÄpfel\nBirnen\n".encode()


def mutated(data: bytes, rng: random.Random) -> bytes:
    return damaged(data, rng)
