"""Give up, for ever, all that a process may do but compute and talk over one open file.

No file is opened, no connection made, no program started, no signal sent, no thread begun, no
memory made executable: the kernel refuses every other call (seccomp), and no new rights are gained
(no_new_privs). Limits of memory, of files and of processes hold too. Linux on x86-64 and arm64 has
all of this for every user, with nothing installed.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

MACHINES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
"""What the kernel calls the machines whose calls are numbered below (AUDIT_ARCH)."""

CALLS: Mapping[str, tuple[int, int]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
}
"""What decoding needs: the numbers of these calls on x86-64 and on arm64."""

MEMORY_CALLS: Mapping[str, tuple[int, int]] = {"mmap": (9, 222), "mprotect": (10, 226)}
"""Allowed where their third argument does not ask for memory that can be executed."""

SECCOMP = (317, 277)
SET_FILTER, ALL_THREADS, NO_SLOWDOWN = 1, 1, 4
"""Of seccomp(2). Older kernels make a filtered process slow, so that it cannot guess at secrets of
its own memory; this one has none."""

NO_NEW_PRIVS = 38  # of prctl(2)
EXECUTABLE = 4  # PROT_EXEC of mmap(2)

# Of the language of filters, see the kernel's seccomp_filter.rst.
LOAD, IF_EQUAL, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER_AT, MACHINE_AT, THIRD_ARGUMENT_AT = 0, 4, 32
ALLOW, KILL, REFUSE = 0x7FFF_0000, 0x8000_0000, 0x0005_0000 | errno.EPERM


def filter_program(machine: str) -> bytes:
    """Write the filter that the kernel runs at every call: what is not named is refused."""
    column = list(MACHINES).index(machine)
    steps = [(IF_EQUAL, 0, 0, numbers[column]) for numbers in CALLS.values()]
    memory = [(IF_EQUAL, 0, 0, numbers[column]) for numbers in MEMORY_CALLS.values()]
    ends = [
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, THIRD_ARGUMENT_AT),
        (IF_ANY_BIT, 1, 0, EXECUTABLE),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    num_tests = len(steps) + len(memory)
    # A jump tells how many steps it leaves out: from a test to the answer behind all tests.
    to_allow = [(code, num_tests - i + 2, no, k) for i, (code, _, no, k) in enumerate(steps)]
    to_check = [
        (code, num_tests - i, no, k) for i, (code, _, no, k) in enumerate(memory, len(steps))
    ]
    head = [
        (LOAD, 0, 0, MACHINE_AT),
        (IF_EQUAL, 1, 0, MACHINES[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    program = [*head, *to_allow, *to_check, *ends]
    return b"".join(struct.pack("<HBBI", *step) for step in program)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]


def lock_down(max_bytes: int) -> str:
    """Give up all rights but those to compute and to use the files that are open.

    Args:
        max_bytes: Memory that may be taken beyond what is used now.

    Returns:
        Why not all of it could be given up; empty where it could.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no seccomp"
    machine = platform.machine()
    if machine not in MACHINES:
        return f"calls of {machine} processors are not known"
    _limit(max_bytes)
    return _filter(machine) or _doubt()


def _limit(max_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + max_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    for which, limit in limits.items():
        _, most = resource.getrlimit(which)
        low = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(which, (low, low))


def _filter(machine: str) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
        return f"no_new_privs: {os.strerror(ctypes.get_errno())}"
    steps = filter_program(machine)
    program = _Program(len(steps) // 8, steps)
    number = ctypes.c_long(SECCOMP[list(MACHINES).index(machine)])
    how = (ctypes.c_ulong(SET_FILTER), ctypes.c_ulong(ALL_THREADS | NO_SLOWDOWN))
    if libc.syscall(number, *how, ctypes.byref(program)):
        return f"seccomp: {os.strerror(ctypes.get_errno()) or 'a thread has another filter'}"
    return ""


def _doubt() -> str:
    """Try what is forbidden: a system that emulates Linux may take a filter and not heed it."""
    try:
        os.kill(os.getpid(), 0)
    except PermissionError:
        return ""
    return "the system takes a filter and does not heed it"
