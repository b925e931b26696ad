"""The process that is fed: it notes every input before it reads it, and may well die of one.

    python -m tests.fuzz.child TARGET --work FOLDER --seconds S
    python -m tests.fuzz.child TARGET --work FOLDER --replay FILE ...

Replaying says of each file on a line whether it passed.
"""

import argparse
import ast
import hashlib
import importlib
import importlib.util
import mmap
import os
import random
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from tests.fuzz import plain
from tests.hostile.damage import damaged

LARGEST = 2**16
"""Most bytes of an input."""

CPU_S = 20.0
"""Most seconds of CPU that an input may take; what is watched is several times slower."""

WALL_S = 300.0
"""Most seconds that an input may take in all: machines are busy."""

MEMORY = 2 * 2**30
"""Most bytes of address space that an input may take, beside what the libraries take."""

STATE, FINDINGS, CORPUS = "state", "findings", "corpus"
HEADER = struct.Struct("<QQQ")
"""Executions, edges (where this process counts them itself), and bytes of the current input."""

OWN = ("tests/fuzz", "wslabel")


class Watch:
    """Feeds a target, and keeps what is no result and no clear refusal."""

    def __init__(self, one_input: Any, work: Path) -> None:
        self._one_input, self._work = one_input, work
        path = work / STATE
        if not path.exists():
            path.write_bytes(bytes(HEADER.size + LARGEST))
        self._state = mmap.mmap(os.open(path, os.O_RDWR), HEADER.size + LARGEST)
        self.executions, self.edges, _ = HEADER.unpack_from(self._state)

    def note(self, data: bytes = b"") -> None:
        HEADER.pack_into(self._state, 0, self.executions, self.edges, len(data))
        self._state[HEADER.size : HEADER.size + len(data)] = data

    def __call__(self, data: bytes) -> None:
        data = data[:LARGEST]
        self.executions += 1
        self.note(data)
        try:
            with limited_time():
                self._one_input(data)
        except Exception as error:  # noqa: BLE001 - whatever gets here is a finding
            self._keep(data, error)

    def _keep(self, data: bytes, error: Exception) -> None:
        """Keep the smallest input of each place and kind of failure."""
        kind, place = type(error).__name__, _place(error)
        digest = hashlib.blake2b(f"{kind} {place}".encode(), digest_size=4).hexdigest()
        file = self._work / FINDINGS / f"{kind}-{digest}"
        if not file.exists() or file.stat().st_size > len(data):
            file.write_bytes(data)
            told = "".join(traceback.format_exception(error))
            (self._work / FINDINGS / f"{file.name}.txt").write_text(told, errors="backslashreplace")


@contextmanager
def limited_time() -> Iterator[None]:
    """Have the system end this process when the time is over, whatever code it is in then."""
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.setitimer(signal.ITIMER_REAL, WALL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _place(error: Exception) -> str:
    """Name the last line of ours that an exception came through."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if any(part in frame.filename for part in OWN)][-1]
    return f"{Path(last.filename).name} {last.name} {last.line}"


def load(name: str) -> tuple[Any, Any]:
    """Import a target, under the eyes of atheris where that is installed."""
    module = f"tests.fuzz.targets.{name}"
    if importlib.util.find_spec("atheris") is None:
        return importlib.import_module(module), None
    import atheris  # noqa: PLC0415 - not everywhere

    reads = _reads(Path(__file__).parent / "targets" / f"{name}.py")
    packages = [read for read in reads if "." not in read]
    # What was imported before, and what knows it, is imported anew.
    forgotten = (*packages, "tests.hostile")
    for known in [m for m in sys.modules if f"{m}.".startswith(tuple(f"{f}." for f in forgotten))]:
        del sys.modules[known]
    with atheris.instrument_imports(include=packages):
        target = importlib.import_module(module)
    for read in set(reads) - set(packages):
        for function in _functions(importlib.import_module(read)):
            atheris.instrument_func(function)
    return target, atheris


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Find the functions and methods that a module defines."""
    for thing in vars(module).values():
        inside = vars(thing).values() if isinstance(thing, type) else (thing,)
        for function in inside:
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                yield function


def _reads(path: Path) -> Sequence[str]:
    """Look up what a target says that it reads, before it imports it."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "READS":
            return tuple(ast.literal_eval(node.value))
    raise AssertionError(f"{path}: READS is not there")


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def mutation(target: Any) -> Callable[[bytes, random.Random], bytes]:
    """Give a target's own damage; what is no longer of its format is damaged as mere bytes."""

    def mutated(data: bytes, rng: random.Random) -> bytes:
        try:
            return bytes(target.mutated(data, rng))
        except Exception:  # noqa: BLE001 - libraries that take files apart raise anything
            return damaged(data, rng)

    return mutated


def guided(atheris: Any, target: Any, watch: Watch, work: Path, seconds: int) -> None:
    """Search with libFuzzer, which does its own mutations half of the time."""

    mutated = mutation(target)

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        return mutated(bytes(data), rng)[:max_size]

    words = work / "words"
    spelled = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.WORDS)
    words.write_text("".join(f'"{word}"\n' for word in spelled))
    # The system's own handling tells the parent by which signal this process died.
    signals = [f"-handle_{name}=0" for name in ("segv", "abrt", "bus", "fpe", "ill")]
    limits = [f"-max_len={LARGEST}", "-timeout=0", "-rss_limit_mb=0", f"-max_total_time={seconds}"]
    paths = [f"-artifact_prefix={work}/", f"-dict={words}", str(work / CORPUS)]
    atheris.Setup([sys.argv[0], *signals, *limits, *paths], watch, custom_mutator=mutator)
    limit_memory()
    atheris.Fuzz()


def replay(target: Any, files: Sequence[Path]) -> None:
    limit_memory()
    for file in files:
        try:
            with limited_time():
                target.one_input(file.read_bytes())
        except Exception:  # noqa: BLE001 - whatever gets here is a finding
            print("failed", flush=True)
        else:
            print("passed", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--replay", type=Path, nargs="*", default=[])
    asked = parser.parse_args()
    target, atheris = load(asked.target)
    from wslabel.storage import failures  # noqa: PLC0415 - imported before, it would not be watched

    failures.PATIENCE_S = 0.0  # a file of this machine does not get better by waiting
    for folder in (FINDINGS, CORPUS):
        (asked.work / folder).mkdir(parents=True, exist_ok=True)
    if asked.replay:
        replay(target, asked.replay)
        return
    watch = Watch(target.one_input, asked.work)
    for data in target.seeds():
        name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        (asked.work / CORPUS / name).write_bytes(data[:LARGEST])
    if atheris is not None:
        guided(atheris, target, watch, asked.work, asked.seconds)
        return
    corpus = [path.read_bytes() for path in sorted((asked.work / CORPUS).iterdir())]
    limit_memory()
    watch.edges = plain.search(watch, mutation(target), corpus, target.READS, asked.seconds)
    watch.note()


if __name__ == "__main__":
    main()
