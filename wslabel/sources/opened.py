"""Files of this machine that are open, and where these really lie.

Whoever may write in a folder can put a link in place of a file at any moment. So what is judged is
the file that was opened, and not the path, which may lead elsewhere by then.
"""

import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DESCRIPTORS = "/proc/self/fd"
"""Where Linux tells what the open files of a process are."""

REPLACED = " (deleted)"
"""What Linux adds to the path of a file that another one has taken the place of."""

FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""A pipe or a terminal that takes the place of a file is not waited for."""

LONGEST_PATH = 1024
"""Bytes of what macOS tells of an open file."""


@contextmanager
def opened(path: str) -> Iterator[int]:
    """Open a file for reading; give its descriptor.

    Raises:
        FileNotFoundError: There is none, or it is a folder, a pipe or a device.
        OSError: It may not be read.
    """
    _refuse_special(os.stat(path), path)  # to open a device may do something already
    file = os.open(path, FLAGS)
    try:
        _refuse_special(os.fstat(file), path)
        yield file
    finally:
        os.close(file)


def read(file: int, num_bytes: int, start: int) -> bytes:
    """Read so many bytes of an open file, or fewer where it ends before."""
    parts: list[bytes] = []
    while num_bytes and (part := os.pread(file, num_bytes, start)):
        parts.append(part)
        num_bytes, start = num_bytes - len(part), start + len(part)
    return b"".join(parts)


def real_path(file: int, path: str) -> str:
    """Say where an open file lies, by a path without links.

    Args:
        file: Its descriptor.
        path: Path by which it was opened.

    Raises:
        FileNotFoundError: Where the system does not tell, and the path leads elsewhere by now.
    """
    if sys.platform == "linux":
        with suppress(FileNotFoundError):  # of a system without /proc
            return _told_by_linux(file)
    if sys.platform == "darwin":
        told = fcntl.fcntl(file, fcntl.F_GETPATH, bytes(LONGEST_PATH))
        return os.fsdecode(told.partition(b"\0")[0])
    real = os.path.realpath(path)
    if not os.path.samestat(os.lstat(real), os.fstat(file)):
        raise FileNotFoundError(f"{path}: was replaced while it was opened")
    return real


def _told_by_linux(file: int) -> str:
    real = os.readlink(f"{DESCRIPTORS}/{file}")
    is_replaced = real.endswith(REPLACED) and not os.fstat(file).st_nlink
    return real.removesuffix(REPLACED) if is_replaced else real


def resolved(path: str) -> str:
    """Say where a path leads, spelled as `real_path` does; also of what cannot be opened."""
    try:
        file = os.open(path, FLAGS)
    except OSError:
        return os.path.realpath(path)
    try:
        return real_path(file, path)
    finally:
        os.close(file)


def _refuse_special(state: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise FileNotFoundError(f"{path}: is no file")
