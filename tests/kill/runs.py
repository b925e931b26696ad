"""Run wslabel in processes of its own, kill all of them at some place, compare workspaces."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from wslabel.config.base import S3
from wslabel.storage.location import Location
from wslabel.training.checkpoints import TIMES

HOOKS = Path(__file__).parent / "hooks"
COMMAND = [sys.executable, "-c", "from wslabel.cli import main; main()"]
LONGEST_S = 400.0


def start(config: Path, command: str = "run", **environment: str) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(HOOKS)} | environment
    env.pop("RAY_ADDRESS", None)
    return subprocess.Popen(
        [*COMMAND, command, str(config)],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, f"{out}\n{err}"
    return out


def run(config: Path) -> str:
    """Run to the end."""
    return finish(start(config))


def run_until_stopped(config: Path, place: str, marks: Path, command: str = "run") -> None:
    """Run until some process stands at the place, then kill -9 driver and workers."""
    process = start_stopping(config, place, marks, command)
    wait_until(process, lambda: (marks / "stopped").exists(), f"never came to '{place}'")
    _kill(process)


def run_without(config: Path, place: str, marks: Path) -> str:
    """Run, but kill -9 the one process that comes to the place; give what the driver says."""
    process = start_stopping(config, place, marks, "run", WSLABEL_QUIET="", CI="")
    wait_until(process, lambda: (marks / "stopped").exists(), f"never came to '{place}'")
    os.kill(int((marks / "stopped").read_text()), signal.SIGKILL)
    _, err = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, err
    return err


def start_stopping(
    config: Path, place: str, marks: Path, command: str, **environment: str
) -> subprocess.Popen[str]:
    """Start a run of which one process stops at a place."""
    marks.mkdir(parents=True)
    stops = {"WSLABEL_STOP_AT": place, "WSLABEL_STOP_MARKS": str(marks)}
    return start(config, command, **stops, **environment)


def run_for(config: Path, seconds: float) -> bool:
    """Run for a time and kill -9 driver and workers; tell whether it was still running."""
    end = time.monotonic() + seconds
    process = start(config)
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    was_running = process.poll() is None
    _kill(process)
    return was_running


def wait_until(process: subprocess.Popen[str], due: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + LONGEST_S
    while not due():
        if process.poll() is not None or time.monotonic() > end:
            _kill(process)
            raise AssertionError(f"{complaint}: {process.communicate()}")
        time.sleep(0.02)


def _kill(process: subprocess.Popen[str]) -> None:
    family = []
    if process.poll() is None:
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=20)
    process.wait(timeout=20)
    if process.stdout is not None and process.stderr is not None:
        process.stdout.close()
        process.stderr.close()


def contents(root: str, s3: S3 | None = None) -> dict[str, object]:
    """Read every file of a workspace: tables as rows, everything else as bytes."""
    location = Location(root, s3)
    found: dict[str, object] = {}
    for entry in location.files("", recursive=True):
        # Logs, pages and attempts tell when and how often there was a run, which differs.
        is_page = entry.path.endswith((".html", ".tfevents"))
        if entry.path.startswith((".staging", "logs/", "attempts/")) or is_page:
            continue
        data = location.read(entry.path).to_pybytes()
        if entry.path.endswith("card.json"):
            data = _timeless(data)
        is_table = entry.path.endswith(".parquet")
        found[entry.path] = pq.read_table(io.BytesIO(data)) if is_table else data
    return found


def _timeless(card: bytes) -> bytes:
    """Leave out what a machine took from what is told of a network."""
    read = json.loads(card)
    for record in (*read["history"], read["metrics"]):
        for key in TIMES:
            record.pop(key, None)
    return json.dumps(read, sort_keys=True).encode()


def same(found: dict[str, object], expected: dict[str, object]) -> None:
    """Assert that two workspaces hold the same tables, row for row, and the same other files."""
    assert sorted(found) == sorted(expected)
    for path, value in expected.items():
        if path.endswith(".parquet"):
            assert found[path].equals(value), path  # type: ignore[attr-defined]
        else:
            assert found[path] == value, path
