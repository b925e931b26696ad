"""A job and plain loops that take turns, so that both see the same drift of the machine.

Other tenants make a machine's speed change by half within minutes. So the job and the loops run for
some seconds each, all processes of the others being stopped meanwhile, and what counts is the time
in which each was running. A stop costs a Ray job about half a second, so its turns are long.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

RAY_NICENESS = 15
"""Of Ray's workers by default: whatever else the machine does takes as much from both."""

COMMAND = "import sys; from wslabel.cli import main; main()"


class Loop:
    """Plain processes that repeat some work for ever, stopped unless it is their turn.

    Args of `work`: the number of the process, and a function to call with images done; the first
    call, with 0, says that it is ready.
    """

    def __init__(
        self, work: Callable[..., None], processes: int, turn_s: float, *args: Any
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._counts = [context.Value("q", -1) for _ in range(processes)]
        self._turn_s, self._seconds = turn_s, 0.0
        self._processes = [
            context.Process(target=_count, args=(work, number, count, *args), daemon=True)
            for number, count in enumerate(self._counts)
        ]
        for process in self._processes:
            process.start()
        while any(count.value < 0 for count in self._counts):
            time.sleep(0.1)
        self._signal(signal.SIGSTOP)

    def turn(self) -> None:
        """Let it run for its seconds."""
        begun = time.perf_counter()
        self._signal(signal.SIGCONT)
        time.sleep(self._turn_s)
        self._signal(signal.SIGSTOP)
        self._seconds += time.perf_counter() - begun

    def rate(self) -> float:
        """Give images per second of its own time."""
        return sum(count.value for count in self._counts) / self._seconds

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for process in self._processes:
            assert process.pid is not None
            os.kill(process.pid, number)


def _count(work: Callable[..., None], number: int, count: Any, *args: Any) -> None:
    os.nice(RAY_NICENESS)

    def done(num_images: int) -> None:
        count.value = max(count.value, 0) + num_images

    work(number, done, *args)


def featurize(config: Path, loops: list[Loop], turn_s: float = 30.0) -> float:
    """Featurize as `wslabel run` does, in turns with the loops; give the seconds that it ran."""
    arguments = ["run", str(config), "--until", "featurize"]
    job = subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], stdout=sys.stderr)
    seconds = 0.0
    while True:
        begun = time.perf_counter()
        with suppress(subprocess.TimeoutExpired):
            job.wait(turn_s)
        seconds += time.perf_counter() - begun
        if job.returncode is not None:
            break
        _signal_family(job.pid, signal.SIGSTOP)
        for loop in loops:
            loop.turn()
        _signal_family(job.pid, signal.SIGCONT)
    if job.returncode:
        sys.exit(f"the job ended with {job.returncode}")
    return seconds


def _signal_family(pid: int, number: int) -> None:
    """Stop a driver and all processes of its Ray at once, or let them go on."""
    driver = psutil.Process(pid)
    for member in [driver, *driver.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(number)
