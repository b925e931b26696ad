"""Images are decoded where nothing else can be done, as exactly as anywhere, and at no risk."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.features.test_decode import encoded, noise
from tests.hostile.damage import damaged, files
from tests.hostile.images import cases, halves
from wslabel.errors import ConfigError
from wslabel.features import decoder
from wslabel.features.decode import FORMATS, Decoded, Undecodable, decode
from wslabel.features.decoder import Decoder
from wslabel.features.lockdown import CALLS, MACHINES, MEMORY_CALLS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no seccomp")

PLENTY = 50_000_000
SAFE = Decoder(PLENTY, 60.0)
ATTACKS = Path(__file__).parent / "attacks"
FRESH = count(1_000_000)
"""Numbers of pixels that no other decoder has, so that its process is a new one."""


@pytest.fixture
def attacked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoder]:
    """A decoder that does what the bytes of an image say."""
    monkeypatch.syspath_prepend(ATTACKS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    fresh = Decoder(next(FRESH), 60.0)
    assert fresh.weakness == ""
    yield fresh
    process = decoder._process(fresh.max_pixels, fresh.sandbox)
    if process._running is not None:
        process._end()


def outcome(decode: Decoder, deed: str) -> str:
    """Say what came of a deed: the kind of error, and what was raised."""
    with pytest.raises(Undecodable) as caught:
        decode(f"DEED {deed}".encode())
    return str(caught.value)


def pid(decode: Decoder) -> int:
    running = decoder._process(decode.max_pixels, decode.sandbox)._running
    assert running is not None
    return running[0].pid


def told(action: object, data: bytes) -> object:
    """Give all that a decoder says of an image."""
    assert callable(action)
    try:
        made: Decoded = action(data)
    except Undecodable as error:
        return error.args
    return made.pixels_HW3.shape, made.pixels_HW3.tobytes(), made.is_gray, made.exif


def test_it_says_of_every_image_what_decoding_here_says() -> None:
    kinds: set[object] = set()
    for case in cases():
        expected = told(lambda data: decode(data, PLENTY), case.data)
        assert told(SAFE, case.data) == expected, case.name
        kinds.add(expected[0] if isinstance(expected, tuple) else None)
    assert {"not_an_image", "too_large"} < kinds


@pytest.mark.parametrize("kind", FORMATS)
def test_it_says_of_every_damaged_image_what_decoding_here_says(kind: str) -> None:
    good = files(kind)
    for number in range(100):
        rng = random.Random(f"{kind} {number}")
        data = damaged(rng.choice(good), rng)
        assert told(SAFE, data) == told(lambda data: decode(data, PLENTY), data)


def test_many_at_once_are_as_each_alone() -> None:
    all_cases = list(cases())
    made = SAFE.all([case.data for case in all_cases])
    for case, one in zip(all_cases, made, strict=True):
        alone = told(SAFE, case.data)
        assert told(lambda _, one=one: answered(one), b"") == alone, case.name


def answered(made: Decoded | Undecodable) -> Decoded:
    if isinstance(made, Undecodable):
        raise made
    return made


def test_of_images_that_are_small_and_vast_each_comes_in_its_turn() -> None:
    white = [encoded(Image.new("RGB", (1200, 900), (n, n, n)), "PNG") for n in range(9)]
    assert sum(map(len, white)) < decoder.PORTION_BYTES  # yet their pixels are too many at once
    made = SAFE.all(white)
    assert [answered(one).pixels_HW3.mean() for one in made] == list(range(9))


def test_nothing_is_decoded_of_nothing() -> None:
    assert SAFE.all([]) == []


def test_of_many_at_once_only_those_that_kill_are_crashed(attacked: Decoder) -> None:
    good, deeds = encoded(noise(), "PNG"), (b"DEED segfault", b"DEED loop", b"DEED exit")
    hasty = Decoder(attacked.max_pixels, 0.5)
    images = [good, deeds[0], good, deeds[1], good, deeds[2], b"", good]
    kinds = [getattr(one, "kind", None) for one in hasty.all(images)]
    expected = [None, "crashed", None, "timed_out", None, "crashed", "not_an_image", None]
    assert kinds == expected


def test_a_large_image_arrives_whole_and_its_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(halves(size=(1200, 900)), "PNG")
    shared = decoder._process(PLENTY, "auto")._shared
    assert told(SAFE, data) == told(lambda data: decode(data, PLENTY), data)
    assert os.fstat(shared).st_blocks * 512 >= 1200 * 900 * 3
    monkeypatch.setattr(decoder, "KEPT_BYTES", 2**20)
    assert told(SAFE, data) == told(lambda data: decode(data, PLENTY), data)
    assert os.fstat(shared).st_blocks * 512 <= 2**20


def test_pixels_are_a_copy_that_the_process_cannot_reach() -> None:
    first, second = SAFE(encoded(noise(), "PNG")), SAFE(encoded(noise((9, 9)), "PNG"))
    assert np.array_equal(first.pixels_HW3, np.asarray(noise()))
    assert not np.shares_memory(first.pixels_HW3, second.pixels_HW3)
    assert first.pixels_HW3.flags.writeable  # so that resizing need not copy it again


def test_a_file_that_is_longer_than_the_shared_memory_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoder, "FILE_BYTES", 2**16)
    monkeypatch.setattr(decoder, "SPARE_BYTES", 2**16)
    small = Decoder(100, 60.0)
    with pytest.raises(Undecodable, match="too_large"):
        small(bytes(2**17))
    with pytest.raises(Undecodable, match="not_an_image"):
        small(bytes(2**16))


def test_threads_take_turns() -> None:
    images = [encoded(noise((n, 7)), "PNG") for n in range(3, 33)]
    with ThreadPoolExecutor(4) as pool:
        for size, made in zip(range(3, 33), pool.map(SAFE, images), strict=True):
            assert np.array_equal(made.pixels_HW3, np.asarray(noise((size, 7))))


FORBIDDEN = (
    "read",
    "write",
    "list",
    "stat",
    "memory of the parent",
    "connect",
    "pair",
    "exec",
    "fork",
    "program",
    "trace",
    "kill itself",
    "namespace",
    "root",
    "code",
)


def test_who_takes_over_a_decoder_can_do_nothing(attacked: Decoder) -> None:
    for deed in FORBIDDEN:
        assert "PermissionError" in outcome(attacked, deed), deed
    assert "PermissionError" in outcome(attacked, f"kill,{os.getpid()}")
    assert "can't start new thread" in outcome(attacked, "thread")
    assert not Path("/tmp/wslabel-was-here").exists()


def test_without_the_sandbox_it_could(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ATTACKS)
    off = Decoder(next(FRESH), 60.0, "off")
    assert off.weakness == "engine.sandbox is off"
    assert "root:" in outcome(off, "read")


def test_no_call_of_the_system_gets_through_but_those_that_are_named(attacked: Decoder) -> None:
    column = list(MACHINES).index(os.uname().machine)
    allowed = [str(numbers[column]) for numbers in (CALLS | MEMORY_CALLS).values()]
    assert outcome(attacked, ",".join(["calls", *allowed])).endswith("done: []")


def test_it_has_no_credentials_and_no_open_file_but_its_own(attacked: Decoder) -> None:
    variables = outcome(attacked, "variables")
    assert "PYTHONPATH" in variables
    assert "AWS" not in variables
    assert "HOME" not in variables.replace("PYTHONHOME", "")
    (number,) = outcome(attacked, "files").rpartition("done: [")[2].rstrip("]").split(",")
    assert number.isdecimal()


def test_what_it_prints_goes_nowhere(attacked: Decoder, capfd: pytest.CaptureFixture[str]) -> None:
    outcome(attacked, "print")
    assert "x" not in capfd.readouterr().err
    assert attacked(encoded(noise(), "PNG")).pixels_HW3.shape == (24, 16, 3)


@pytest.mark.parametrize("deed", ["segfault", "abort", "exit"])
def test_who_kills_it_is_crashed_and_nobody_else_is(attacked: Decoder, deed: str) -> None:
    good = encoded(noise(), "PNG")
    before = pid(attacked)
    assert outcome(attacked, deed).startswith("crashed: ")
    assert attacked(good).pixels_HW3.shape == (24, 16, 3)
    assert pid(attacked) != before
    assert not psutil.pid_exists(before)  # nor a zombie


def test_an_image_during_which_somebody_else_ends_it_is_decoded_once_more(
    attacked: Decoder,
) -> None:
    psutil.Process(pid(attacked)).kill()
    assert attacked(encoded(noise(), "PNG")).pixels_HW3.shape == (24, 16, 3)


@pytest.mark.parametrize("deed", ["endless", "loop"])
def test_who_does_not_end_is_timed_out(attacked: Decoder, deed: str) -> None:
    hasty = Decoder(attacked.max_pixels, 0.5)  # the same process
    start = time.monotonic()
    assert outcome(hasty, deed) == "timed_out: not decoded within 0.5 seconds"
    assert time.monotonic() - start < 5.0
    assert "done" in outcome(Decoder(attacked.max_pixels, 60.0), "sleep")


def test_who_takes_all_memory_is_too_large(attacked: Decoder) -> None:
    assert outcome(attacked, "vast") == "too_large: MemoryError"
    assert attacked(encoded(noise(), "PNG")).pixels_HW3.shape == (24, 16, 3)


def test_where_there_is_no_sandbox_it_is_said_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ATTACKS)
    monkeypatch.setenv("WSLABEL_MACHINE", "riscv64")
    pixels = next(FRESH)
    assert Decoder(pixels, 60.0).weakness == "calls of riscv64 processors are not known"
    assert Decoder(pixels, 60.0)(encoded(noise(), "PNG")).pixels_HW3.shape == (24, 16, 3)
    with pytest.raises(ConfigError, match=r"engine\.sandbox: required, but .*riscv64"):
        Decoder(pixels, 60.0, "required")(encoded(noise(), "PNG"))


def test_a_process_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "COMMAND", (sys.executable, "-c", "import nonsense"))
    with pytest.raises(RuntimeError, match=r"(?s)did not start: .*No module named 'nonsense'"):
        Decoder(next(FRESH), 60.0)(b"")


ORPHAN = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from wslabel.features import decoder
decoder.ALONE_S = 0.2
safe = decoder.Decoder(1000, 0.3)
assert not safe.weakness
print(decoder._process(1000, "auto")._running[0].pid, flush=True)
if sys.argv[2]:
    threading.Thread(target=safe, args=(sys.argv[2].encode(),)).start()
    time.sleep(0.1)
os._exit(0)
"""


@pytest.mark.parametrize("work", ["", "DEED loop"], ids=["idle", "busy"])
def test_it_ends_when_its_parent_is_gone(work: str) -> None:
    command = [sys.executable, "-c", ORPHAN, str(ATTACKS), work]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    left = time.monotonic() + 20.0
    while psutil.pid_exists(int(done.stdout)):
        process = psutil.Process(int(done.stdout))
        if process.status() == psutil.STATUS_ZOMBIE:  # its new parent has not looked yet
            return
        assert time.monotonic() < left
        time.sleep(0.02)
