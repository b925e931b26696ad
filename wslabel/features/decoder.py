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
from dataclasses import dataclass
from functools import cache

from wslabel.config.engine import Engine, Sandbox
from wslabel.errors import ConfigError
from wslabel.features.decode import Decoded, Undecodable
from wslabel.features.frames import ANSWER, READY, REQUEST, text_of, unpack

FILE_BYTES = 2**30
"""Bytes of the largest file. Of the shared memory only pages that were written to take room."""

SPARE_BYTES = 2**26
"""Room behind the pixels of the largest image."""

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
        return _process(self.max_pixels, self.sandbox).decode(data, self.timeout_s)

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
        self._size = max(FILE_BYTES, 3 * max_pixels + SPARE_BYTES)
        self._shared = _shared_file(self._size)
        self._memory = mmap.mmap(self._shared, self._size)
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._weakness = ""

    @property
    def weakness(self) -> str:
        with self._lock:
            self._channel()
            return self._weakness

    def decode(self, data: bytes, timeout_s: float) -> Decoded:
        if len(data) > self._size:
            raise Undecodable("too_large", f"{len(data)} bytes")
        with self._lock:
            try:
                return self._decode(data, timeout_s)
            except _Died:
                # Something else may have ended it, as the system does when memory runs out.
                pass
            try:
                return self._decode(data, timeout_s)
            except _Died as error:
                raise Undecodable("crashed", str(error)) from None

    def _decode(self, data: bytes, timeout_s: float) -> Decoded:
        channel = self._channel()
        self._memory[: len(data)] = data
        try:
            channel.sendall(REQUEST.pack(len(data), timeout_s + ALONE_S))
            answer = _received(channel, timeout_s)
            return unpack(answer, self._memory, self._max_pixels)
        except TimeoutError:
            self._end()
            raise Undecodable("timed_out", f"not decoded within {timeout_s:g} seconds") from None
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
                ready = _received(ours, START_S)
                self._weakness = text_of(ready, {READY}, self._memory)
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


def _received(channel: socket.socket, timeout_s: float) -> bytes:
    """Receive a whole answer, in time.

    Raises:
        TimeoutError: It did not come in time.
        EOFError: None comes any more.
    """
    end, answer = time.monotonic() + timeout_s, b""
    while len(answer) < ANSWER.size:
        channel.settimeout(max(1e-3, end - time.monotonic()))
        part = channel.recv(ANSWER.size - len(answer))
        if not part:
            raise OSError("no answer")
        answer += part
    return answer


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
