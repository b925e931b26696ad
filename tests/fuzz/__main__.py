"""Run targets, each in a process of its own that is started again when it dies.

    python -m tests.fuzz [TARGET ...] --minutes 60 --seed-corpus FOLDER --findings FOLDER

Writes a JSON line per target. The seed corpus, a folder per target, grows by what reached new code;
give the same folder again to go on. What fails again by itself is kept as a finding.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz import child

HERE = Path(__file__).parent
TARGETS = sorted(p.stem for p in (HERE / "targets").glob("*.py") if p.stem != "__init__")
DEATHS = 3
"""Inputs kept of each way in which a process died."""

TOO_LONG_S = 600.0
"""Seconds beside those of the search after which a process is ended: to start takes a while."""

# Else libraries take memory for threads and arenas that no input asked for.
ALONE = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}


class Run:
    """One target for some minutes."""

    def __init__(self, target: str, work: Path, kept: Path) -> None:
        self._target, self._work, self._kept = target, work, kept
        self._deaths: Counter[str] = Counter()
        self._edges = 0
        (work / child.FINDINGS).mkdir(parents=True, exist_ok=True)
        (work / child.STATE).unlink(missing_ok=True)

    def __call__(self, minutes: float) -> dict[str, Any]:
        start, before = time.monotonic(), _cpu_s()
        while (left := 60 * minutes - (time.monotonic() - start)) > 1:
            self._once(int(left) or 1)
        elapsed, cpu = time.monotonic() - start, _cpu_s() - before
        executions, edges = self._counts()
        return {
            "target": self._target,
            "engine": "atheris" if importlib.util.find_spec("atheris") else "mutations",
            "minutes": round(elapsed / 60, 1),
            "cpu_minutes": round(cpu / 60, 1),
            "executions": executions,
            "per_second": round(executions / max(1.0, cpu)),
            "edges": edges or self._edges,
            "corpus": len(list((self._work / child.CORPUS).iterdir())),
            "deaths": dict(self._deaths),
            "findings": self._judged(),
        }

    def _counts(self) -> tuple[int, int]:
        data = (self._work / child.STATE).read_bytes()
        executions, edges, _ = child.HEADER.unpack_from(data)
        return executions, edges

    def _once(self, seconds: int) -> None:
        log = self._work / "log"
        with log.open("wb") as sink:
            words = [*self._words(), "--seconds", str(seconds)]
            code = self._started(words, sink, seconds + TOO_LONG_S)
        told = log.read_text(errors="replace")
        self._edges = max([self._edges, *map(int, re.findall(r"\bcov: (\d+)", told))])
        if code:
            self._died(code, told)

    def _words(self) -> list[str]:
        return ["-m", "tests.fuzz.child", self._target, "--work", str(self._work)]

    def _started(self, words: list[str], sink: Any, patience_s: float) -> int:
        """Start a process; give how it ended: its exit code, or minus the signal."""
        environment = os.environ | ALONE
        process = subprocess.Popen(
            [sys.executable, *words], stdout=sink, stderr=sink, env=environment
        )
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:  # its own limits are for what reads, not for the search
            process.kill()
            return process.wait()

    def _died(self, code: int, told: str) -> None:
        """Keep what the process was reading when it died."""
        data = (self._work / child.STATE).read_bytes()
        _, _, size = child.HEADER.unpack_from(data)
        current = data[child.HEADER.size :][:size]
        kind = signal.Signals(-code).name if code < 0 else f"exit{code}"
        self._deaths[kind] += 1
        if not current and self._deaths[kind] >= DEATHS:
            raise SystemExit(f"{self._target} does not start: {told[-2000:]}")
        if current and self._deaths[kind] <= DEATHS:
            name = f"{kind}-{hashlib.blake2b(current, digest_size=4).hexdigest()}"
            (self._work / child.FINDINGS / name).write_bytes(current)
            (self._work / child.FINDINGS / f"{name}.txt").write_text(told[-4000:])

    def _judged(self) -> list[dict[str, Any]]:
        """Read all findings once more, by themselves, and keep those that fail again."""
        folder = self._work / child.FINDINGS
        paths, told = sorted(p for p in folder.iterdir() if p.suffix != ".txt"), list[str]()
        while len(told) < len(paths):
            log = self._work / "replayed"
            with log.open("wb") as sink:
                rest = map(str, paths[len(told) :])
                words = [*self._words(), "--replay", *rest]
                code = self._started(words, sink, child.WALL_S * len(paths) + TOO_LONG_S)
            lines = log.read_text(errors="replace").splitlines()
            told += [line for line in lines if line in ("passed", "failed")]
            told += ["died"] if code else []
        for path in (p for p, how in zip(paths, told, strict=True) if how != "passed"):
            self._kept.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self._kept / path.name)
        return [{"file": p.name, "again": how} for p, how in zip(paths, told, strict=True)]


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed-corpus", type=Path, default=Path(".fuzz"))
    parser.add_argument("--findings", type=Path, default=HERE / "corpus")
    asked = parser.parse_args()
    if unknown := set(asked.targets) - set(TARGETS):
        parser.error(f"unknown target {', '.join(unknown)}; valid: {', '.join(TARGETS)}")
    num_findings = 0
    for target in asked.targets or TARGETS:
        run = Run(target, (asked.seed_corpus / target).resolve(), asked.findings / target)
        told = run(asked.minutes)
        num_findings += sum(finding["again"] != "passed" for finding in told["findings"])
        print(json.dumps(told), flush=True)
    sys.exit(bool(num_findings))


if __name__ == "__main__":
    main()
