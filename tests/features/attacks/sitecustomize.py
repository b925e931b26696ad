"""What a decoder would do that strangers have taken over: bytes of an image that name a deed.

Python imports this by its name where PYTHONPATH has its folder, in the process that decodes too,
and before it gives up its rights. Nothing of wslabel is changed: the deeds are done where a decoder
runs, and what came of them is told as the reason why there is no image.
"""

import ctypes
import errno
import importlib.abc
import importlib.util
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

if "WSLABEL_MACHINE" in os.environ:
    platform.machine = lambda: os.environ["WSLABEL_MACHINE"]

LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


PROBES = {335, 336} if platform.machine() == "x86_64" else set()
"""Calls that filters do not see: who makes them, not being a probe, gets SIGILL from the kernel."""


def calls_that_are_let_through(*allowed):
    """Make every call of the system with no arguments, but for those that are allowed."""
    through = []
    for number in sorted(set(range(470)) - set(map(int, allowed)) - PROBES):
        ctypes.set_errno(0)
        result = LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
        if result != -1 or ctypes.get_errno() != errno.EPERM:
            through.append(number)
    return through


def endless():
    ctypes.PyDLL(None).sleep(60)  # in C, and nobody else gets the interpreter


DEEDS = {
    "read": lambda: Path("/etc/passwd").read_text(),
    "write": lambda: Path("/tmp/wslabel-was-here").write_text("x"),
    "list": lambda: os.listdir("/"),
    "stat": lambda: Path("/etc/passwd").stat(),
    "memory of the parent": lambda: Path(f"/proc/{os.getppid()}/mem").read_bytes(),
    "connect": lambda: socket.socket().connect(("127.0.0.1", 9)),
    "pair": socket.socketpair,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "fork": os.fork,
    "program": lambda: subprocess.run(["/bin/true"]),
    "thread": lambda: threading.Thread(target=print).start(),
    "trace": lambda: checked(LIBC.ptrace(16, os.getppid(), 0, 0)),
    "kill": lambda parent: os.kill(int(parent), 0),
    "kill itself": lambda: os.kill(os.getpid(), signal.SIGUSR1),
    "namespace": lambda: checked(LIBC.unshare(0x10000000)),
    "root": lambda: os.chroot("/"),
    "code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "calls": calls_that_are_let_through,
    "variables": lambda: sorted(os.environ),
    "files": lambda: [n for n in range(3, 200) if is_open(n)],
    "vast": lambda: bytearray(2**31),
    "endless": endless,
    "loop": lambda: exec("while True: pass"),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "sleep": lambda: time.sleep(0.01),
    "print": lambda: print("x" * 10**5),
}


def is_open(number):
    try:
        os.lseek(number, 0, os.SEEK_CUR)
    except OSError as error:
        return error.errno != errno.EBADF
    return True


def at(place, what):
    if place != "decode" or not what.startswith(b"DEED "):
        return
    name, *arguments = what[5:].decode().rstrip().split(",")
    try:
        told = f"done: {DEEDS[name](*arguments)}"
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - told to the test
        told = f"{type(error).__name__}: {error}"
    raise sys.modules["wslabel.features.decode"].Undecodable("not_an_image", told)


class Finder(importlib.abc.MetaPathFinder):
    """Has `at` called as soon as the failpoints are imported."""

    def find_spec(self, name, path, target=None):
        if name != "wslabel.failpoints":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            module.install(at)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
