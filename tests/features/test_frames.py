"""Whatever a decoder's process answers, it is an image within bounds, a refusal, or refused."""

import mmap
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wslabel.features.decode import LARGEST_EXIF, Decoded
from wslabel.features.frames import (
    ANSWER,
    IMAGE,
    KINDS,
    LATER,
    MOST_TOLD,
    READY,
    REQUEST,
    ask,
    asked,
    tell,
    text_of,
    unpack,
    unpack_all,
)

MEMORY = bytes(range(256)) * 16
NUMBERS = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))
MAX_PIXELS = 1000


@given(st.binary(min_size=ANSWER.size, max_size=ANSWER.size))
@example(ANSWER.pack(IMAGE, 2**31, 2**31, 0, 0))
@example(ANSWER.pack(IMAGE, 2**32 - 1, 2**32 - 1, 1, 2**64 - 1))
@example(ANSWER.pack(1, 0, 0, 0, 2**64 - 1))
def test_rubbish_is_refused(answer: bytes) -> None:
    see(answer)


@given(st.sampled_from([0, IMAGE, 2, 3, 4]), NUMBERS, NUMBERS, NUMBERS, NUMBERS)
@example(IMAGE, 1000, 1, 0, len(MEMORY) - 3000)
@example(IMAGE, 1000, 1, 0, len(MEMORY) - 2999)
@example(IMAGE, 1001, 1, 0, 0)
@example(IMAGE, 0, 5, 0, 0)
@example(IMAGE, 5, 5, 2, 0)
def test_lies_are_refused(what: int, height: int, width: int, is_gray: int, extra: int) -> None:
    answer = ANSWER.pack(what, height, width, is_gray, extra)
    made = see(answer)
    is_fine = what == IMAGE and 0 < height * width <= MAX_PIXELS and is_gray < 2
    assert (made is not None) == (is_fine and height * width * 3 + extra <= len(MEMORY))


def test_an_exif_block_is_not_as_large_as_the_memory() -> None:
    """A decoder that was taken over must not make its parent take a gigabyte."""
    with mmap.mmap(-1, LARGEST_EXIF + 100) as memory:
        made = unpack(ANSWER.pack(IMAGE, 1, 1, 0, LARGEST_EXIF), memory, 0, MAX_PIXELS)
        assert isinstance(made, Decoded)
        with pytest.raises(ValueError, match="that is none"):
            unpack(ANSWER.pack(IMAGE, 1, 1, 0, LARGEST_EXIF + 1), memory, 0, MAX_PIXELS)


def see(answer: bytes) -> Decoded | None:
    """Read an answer; what comes of it is within the memory, in one of three ways."""
    with suppress(ValueError):
        made = unpack(answer, MEMORY, 0, MAX_PIXELS)
        if isinstance(made, Decoded):
            _, height, width, is_gray, extra = ANSWER.unpack(answer)
            end = height * width * 3
            assert made.pixels_HW3.shape == (height, width, 3)
            assert made.pixels_HW3.tobytes() == MEMORY[:end]
            assert made.exif == MEMORY[end : end + extra]
            assert made.is_gray is bool(is_gray)
            return made
        if made is None:
            assert ANSWER.unpack(answer)[0] == LATER
            return None
        kind, told = made.args
        assert kind in KINDS.values()
        assert told.isprintable()
        assert len(told) <= MOST_TOLD
    return None


@given(st.text(max_size=2 * MOST_TOLD))
def test_a_text_arrives_without_what_a_terminal_obeys(text: str) -> None:
    with mmap.mmap(-1, 4096) as memory:
        arrived = text_of(tell(memory, 7, READY, text), {READY}, memory, 7)
    assert arrived.isprintable()
    if text.isprintable() and len(text.encode(errors="replace")) <= MOST_TOLD:
        assert arrived == text.encode(errors="replace").decode()


def test_a_text_of_another_kind_is_none() -> None:
    with pytest.raises(ValueError, match="that is none"):
        text_of(ANSWER.pack(IMAGE, 0, 0, 0, 5), {READY}, MEMORY, 0)


@given(st.lists(st.binary(max_size=50), max_size=9))
def test_images_arrive_as_they_were_sent(images: list[bytes]) -> None:
    with mmap.mmap(-1, 4096) as memory:
        request, at = ask(memory, images, 2.5)
        assert REQUEST.unpack(request) == (len(images), 2.5)
        assert asked(memory, len(images)) == (images, at)


ANSWERS = st.builds(
    ANSWER.pack,
    st.sampled_from([IMAGE, LATER, *KINDS]),
    *[st.integers(0, 12)] * 2,
    st.integers(0, 1),
    st.integers(0, 300),
)


@given(st.lists(ANSWERS, max_size=20), st.integers(0, len(MEMORY) + 9))
def test_of_many_answers_each_is_of_its_own_memory(answers: list[bytes], at: int) -> None:
    try:
        made = unpack_all(b"".join(answers), MEMORY, at, MAX_PIXELS)
    except ValueError:
        return
    assert 0 < len(made) <= len(answers)
    for one in made:
        if isinstance(one, Decoded):
            end = at + one.pixels_HW3.size
            assert one.pixels_HW3.tobytes() + one.exif == MEMORY[at : end + len(one.exif)]
            at = end + len(one.exif)
        else:
            at += len(one.args[1])


def test_nothing_done_is_no_answer() -> None:
    for answers in (b"", ANSWER.pack(LATER, 0, 0, 0, 0)):
        with pytest.raises(ValueError, match="no image was done"):
            unpack_all(answers, MEMORY, 0, MAX_PIXELS)


def test_pixels_do_not_change_when_the_memory_does() -> None:
    with mmap.mmap(-1, 4096) as memory:
        made = unpack(ANSWER.pack(IMAGE, 2, 2, 0, 0), memory, 0, MAX_PIXELS)
        assert isinstance(made, Decoded)
        memory[:12] = b"x" * 12
        assert np.array_equal(made.pixels_HW3, np.zeros((2, 2, 3), np.uint8))
