"""What is not over in time ends its process, whatever it does; all else costs next to nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wslabel.features.decode import decode
from wslabel.features.time_limit import TIMED_OUT, time_limit

HEAD = """
import ctypes, time
from wslabel.features.time_limit import time_limit
"""
ENDLESS = {
    "python": "while True: pass",
    "sleep": "time.sleep(60)",
    "C that holds the interpreter": "ctypes.PyDLL(None).sleep(60)",
}


def exit_code(body: str) -> int:
    """Run a program whose end does not take long."""
    return subprocess.run([sys.executable, "-c", HEAD + body], timeout=50, check=False).returncode


@pytest.mark.parametrize("work", ENDLESS)
def test_what_does_not_end_is_ended(work: str) -> None:
    assert exit_code(f"with time_limit(0.3):\n    {ENDLESS[work]}") == TIMED_OUT


def test_it_is_ended_in_a_thread_too() -> None:
    body = """
import threading
def work():
    with time_limit(0.3):
        ctypes.PyDLL(None).sleep(60)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    assert exit_code(body) == TIMED_OUT


def test_what_is_over_in_time_has_no_limit_any_more() -> None:
    assert exit_code("with time_limit(0.3):\n    pass\ntime.sleep(0.6)") == 0
    failing = "try:\n    with time_limit(0.3):\n        1 / 0\nexcept ZeroDivisionError:\n    "
    assert exit_code(failing + "time.sleep(0.6)") == 0


def test_a_limit_of_others_goes_on_afterwards() -> None:
    body = "with time_limit(0.3):\n    with time_limit(60):\n        pass\n    time.sleep(60)"
    assert exit_code(body) == TIMED_OUT
    with time_limit(50.0):
        with time_limit(60.0):
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50.0


def test_it_costs_far_less_than_decoding(scenes: Path) -> None:
    data = (scenes / "coast" / "c00.jpg").read_bytes()  # 48 x 40 pixels: the least there is

    def limit() -> None:
        with time_limit(60.0):
            pass

    assert 10 * fastest(limit) < fastest(lambda: decode(data, 10**6))


def fastest(action: object) -> float:
    assert callable(action)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)
