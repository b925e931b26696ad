"""Exactly those items whose process dies get the mark of a crash; the others keep their results.

Items are expressions and the function is `eval`, which a child process knows without our tests.
"""

import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from wslabel.stages.featurize.isolation import each

PROGRAM = """
import ctypes
from wslabel.features.time_limit import time_limit
with time_limit(0.3):
    ctypes.PyDLL(None).sleep(60)
"""
KILL = "__import__('os').kill(__import__('os').getpid(), 9)"
EXIT = "__import__('os')._exit(3)"
SEGFAULT = "__import__('ctypes').string_at(0)"
ENDLESS = f"exec({PROGRAM!r})"
CRASHED, TIMED_OUT = "crashed", "timed_out"
ENDS: dict[str, Any] = {"on_crash": CRASHED, "on_timeout": TIMED_OUT}


def test_results_come_in_order() -> None:
    assert each(eval, ["1 + 1", "'a' * 3", "None"], **ENDS) == [2, "aaa", None]


@pytest.mark.parametrize("death", [KILL, EXIT, SEGFAULT], ids=["kill", "exit", "segfault"])
def test_only_the_deadly_item_is_marked(death: str) -> None:
    assert each(eval, ["1", "2", death, "4"], **ENDS) == [1, 2, CRASHED, 4]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([KILL, "1"], [CRASHED, 1]),
        (["1", KILL], [1, CRASHED]),
        ([KILL, KILL, "2", KILL], [CRASHED, CRASHED, 2, CRASHED]),
        (["1", ENDLESS, KILL, "4"], [1, TIMED_OUT, CRASHED, 4]),
        ([], []),
    ],
    ids=["first", "last", "several", "endless", "none"],
)
def test_deadly_items_may_stand_anywhere(items: list[str], expected: list[object]) -> None:
    assert each(eval, items, **ENDS) == expected


def test_large_results_arrive_whole() -> None:
    assert each(len, [b"x" * 3_000_000], **ENDS) == [3_000_000]
    assert each(bytes, [3_000_000, 5], **ENDS) == [bytes(3_000_000), bytes(5)]


def test_what_a_function_prints_is_not_taken_for_a_result() -> None:
    assert each(eval, ["print('hello') or 1", "__import__('os').write(1, b'x' * 20)"], **ENDS) == [
        1,
        20,
    ]


def test_work_is_done_in_another_process() -> None:
    here = __import__("os").getpid()
    first, second = each(eval, ["__import__('os').getpid()"] * 2, **ENDS)
    assert first == second != here
    assert each(eval, ["__import__('sys').executable"], **ENDS) == [sys.executable]


def test_of_many_large_items_one_at_a_time_is_held() -> None:
    def items() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(2**24)

    tracemalloc.start()
    try:
        assert each(len, items(), **ENDS) == [2**24] * 20
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**24
    finally:
        tracemalloc.stop()


def test_what_fetching_raises_comes_out_and_no_process_is_left() -> None:
    def items() -> Iterator[str]:
        yield "1"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        each(eval, items(), **ENDS)
    mine = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [command for command in mine if "isolation" in command]


def test_a_bug_is_not_a_crash_of_an_item() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Traceback .*ZeroDivisionError"):
        each(eval, ["1", "1 / 0"], **ENDS)
