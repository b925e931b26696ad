"""Decode images of strangers in a process that can do nothing else, and believe nothing it says."""

import fcntl
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from wslabel.config.engine import Engine, Sandbox
from wslabel.errors import ConfigError
from wslabel.features.decode import Decoded, Undecodable
from wslabel.features.frames import ANSWER, READY, ask, text_of, unpack_all

FILE_BYTES = 2**30
"""Bytes of the largest file. Of the shared memory only pages that were written to take room."""

SPARE_BYTES = 2**26
"""Room for what is not pixels: sizes, EXIF."""

PORTION_BYTES, MOST_AT_ONCE = 2**19, 16
"""Bytes, and number, of images that are decoded at a time, where several are so small."""

PORTION_S = 10.0
"""Seconds that they may take together before each gets its own time."""

KEPT_BYTES = 2**26
"""Shared memory that is kept for the next image."""

START_S = 120.0
"""Seconds in which a process must have started, on a machine however busy."""

ALONE_S = 60.0
"""Seconds beyond its time after which a process ends itself, whose parent is gone."""

KEPT_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME")
"""Variables that the process needs to start; those of this project are kept too, and no others."""

MEMORY_SETTINGS = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**27),
    "MALLOC_TOP_PAD_": str(2**24),
    "OPENBLAS_NUM_THREADS": "1",
}
"""As for workers: memory is kept for the next image, but not that of one that is huge."""

COMMAND = (sys.executable, "-P", "-m", "wslabel.features.decoder_process")


class _Died(Exception):
    """The process ended without an answer, or its answer cannot be one."""


@dataclass(frozen=True)
class Decoder:
    """Decodes images in a process of its own, one for all of this process that decode alike.

    Attributes:
        max_pixels: Pixels of the largest image.
        timeout_s: Seconds after which an image is given up.
        sandbox: Whether the process is locked down: as far as the system can, wholly or not at all,
            or never.
    """

    max_pixels: int
    timeout_s: float
    sandbox: Sandbox = "auto"

    def __call__(self, data: bytes) -> Decoded:
        """Decode one image, upright as its EXIF orientation says.

        Raises:
            Undecodable: `not_an_image`, `too_large`, `crashed` or `timed_out`.
            ConfigError: A sandbox is required, and the system has none.
        """
        (made,) = self.all([data])
        if isinstance(made, Undecodable):
            raise made
        return made

    def all(self, images: Sequence[bytes]) -> list[Decoded | Undecodable]:
        """Decode images, small ones several at a time; what may be raised of one stands for it.

        Raises:
            ConfigError: A sandbox is required, and the system has none.
        """
        return _process(self.max_pixels, self.sandbox).decode(images, self.timeout_s)

    @property
    def weakness(self) -> str:
        """Say why the process is not locked down; empty where it is."""
        return _process(self.max_pixels, self.sandbox).weakness


def decoder_of(engine: Engine) -> Decoder:
    """Give the decoder that a project file asks for."""
    return Decoder(engine.max_pixels, engine.decode_timeout_s, engine.sandbox)


@cache
def _process(max_pixels: int, sandbox: Sandbox) -> "_Process":
    return _Process(max_pixels, sandbox)


class _Process:
    """The process, started where there is none; threads take turns."""

    def __init__(self, max_pixels: int, sandbox: Sandbox) -> None:
        self._max_pixels, self._sandbox = max_pixels, sandbox
        self._lock = threading.Lock()
        self._size = FILE_BYTES + 3 * max_pixels + SPARE_BYTES
        self._shared = _shared_file(self._size)
        self._memory = mmap.mmap(self._shared, self._size)
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._weakness = ""

    @property
    def weakness(self) -> str:
        with self._lock:
            self._channel()
            return self._weakness

    def decode(self, images: Sequence[bytes], timeout_s: float) -> list[Decoded | Undecodable]:
        done: list[Decoded | Undecodable] = []
        with self._lock:
            while len(done) < len(images):
                done += self._some(_portion(images[len(done) :]), timeout_s)
        return done

    def _some(self, images: Sequence[bytes], timeout_s: float) -> list[Decoded | Undecodable]:
        """Decode some images, at least the first one."""
        if len(images) > 1:
            with suppress(TimeoutError, _Died):  # which of them it was is seen one by one
                return self._asked(images, min(timeout_s, PORTION_S))
        return [self._alone(data, timeout_s) for data in images]

    def _alone(self, data: bytes, timeout_s: float) -> Decoded | Undecodable:
        if len(data) > FILE_BYTES:
            return Undecodable("too_large", f"{len(data)} bytes")
        died = ""
        for _ in range(2):  # others may have ended it, as the system does when memory runs out
            try:
                return self._asked([data], timeout_s)[0]
            except TimeoutError:
                return Undecodable("timed_out", f"not decoded within {timeout_s:g} seconds")
            except _Died as error:
                died = str(error)
        return Undecodable("crashed", died)

    def _asked(self, images: Sequence[bytes], timeout_s: float) -> list[Decoded | Undecodable]:
        """Have images decoded, and get at least what came of the first.

        Raises:
            TimeoutError: It took too long.
            _Died: The process did not live to answer, or its answer is none.
        """
        channel = self._channel()
        request, at = ask(self._memory, images, timeout_s + ALONE_S)
        try:
            channel.sendall(request)
            answers = _received(channel, ANSWER.size * len(images), timeout_s)
            return unpack_all(answers, self._memory, at, self._max_pixels)
        except TimeoutError:
            self._end()
            raise
        except (OSError, ValueError) as error:
            raise _Died(f"{error}; {self._end()}") from None
        finally:
            self._give_back()

    def _channel(self) -> socket.socket:
        """Give the way to the process, after it was started if need be.

        Raises:
            ConfigError: It must be locked down, and is not.
        """
        if self._running is not None and self._running[0].poll() is not None:
            self._end()
        if self._running is None:
            self._running = self._started()
            if self._weakness and self._sandbox == "required":
                self._end()
                raise ConfigError(
                    "engine.sandbox: required, but the process that decodes images has no sandbox "
                    f"on this machine ({self._weakness}); 'auto' does without, and says so"
                )
        return self._running[1]

    def _started(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        numbers = (theirs.fileno(), self._shared, self._size, self._max_pixels)
        with theirs:
            process = subprocess.Popen(
                [*COMMAND, *map(str, numbers), str(int(self._sandbox != "off"))],
                env=_environment(os.environ, sys.path),
                pass_fds=(theirs.fileno(), self._shared),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us; it ends when we are gone
            )
        assert process.stderr is not None
        with process.stderr as errors:
            try:
                ready = _received(ours, ANSWER.size, START_S)
                self._weakness = text_of(ready, {READY}, self._memory, 0)
            except (OSError, ValueError) as error:
                process.kill()
                process.wait()
                told = errors.read().decode(errors="replace")
                raise RuntimeError(
                    f"the process that decodes images did not start: {error} {told}"
                ) from None
        return process, ours

    def _end(self) -> str:
        """End the process, and say how it ended."""
        assert self._running is not None
        process, channel = self._running
        self._running = None
        channel.close()
        process.kill()
        code = process.wait()
        return f"its process ended with {signal.Signals(-code).name if code < 0 else code}"

    def _give_back(self) -> None:
        """Give pages back of which a large image needed many."""
        if sys.platform == "linux" and os.fstat(self._shared).st_blocks * 512 > KEPT_BYTES:
            self._memory.madvise(mmap.MADV_REMOVE)


def _portion(images: Sequence[bytes]) -> Sequence[bytes]:
    """Give the first images, as many as are worth a turn of their own together."""
    total = 0
    for number, data in enumerate(images):
        total += len(data)
        if total > PORTION_BYTES or number == MOST_AT_ONCE:
            return images[: max(1, number)]
    return images


def _received(channel: socket.socket, size: int, timeout_s: float) -> bytes:
    """Receive so many bytes, in time.

    Raises:
        TimeoutError: They did not come in time.
        OSError: No more come.
    """
    end, received = time.monotonic() + timeout_s, b""
    while len(received) < size:
        channel.settimeout(max(1e-3, end - time.monotonic()))
        part = channel.recv(size - len(received))
        if not part:
            raise OSError("no answer")
        received += part
    return received


def _environment(variables: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """Give what the process needs to find this very library, and no credentials."""
    kept = {
        name: value
        for name, value in variables.items()
        if name in KEPT_VARIABLES or name.startswith("WSLABEL_")
    }
    found = os.pathsep.join(folder for folder in path if folder)
    return kept | MEMORY_SETTINGS | {"PYTHONPATH": found}


def _shared_file(size: int) -> int:
    """Make a file in memory that nobody can make shorter: reading behind its end would end us."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            os.ftruncate(file.fileno(), size)
            return os.dup(file.fileno())
    shared = os.memfd_create("image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(shared, size)
    fcntl.fcntl(shared, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return shared
