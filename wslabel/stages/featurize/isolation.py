"""Call a function on each of many items in a process of their own, and survive its death.

Run as a module it is the other side: reads a pickled function and items from standard input and
writes one pickle per result. When it dies, the first item without a result killed it.
"""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, TypeVar

from wslabel.stages.featurize.time_limit import TIMED_OUT

BUG = 70
"""Exit code of a child that an exception ended (EX_SOFTWARE); items may end it with any other."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    on_crash: Result,
    on_timeout: Result,
) -> list[Result]:
    """Map items to results.

    Args:
        function: What is done to each item.
        items: What it is done to.
        on_crash: Result of an item that kills its process.
        on_timeout: Result of an item whose process a time limit ended.
    """
    results: list[Result] = []
    while len(results) < len(items):
        code, done = _until_death(function, items[len(results) :])
        results += done
        if len(results) < len(items):
            results.append(on_timeout if code == TIMED_OUT else on_crash)
    return results


def _until_death(
    function: Callable[[Item], Result], items: Sequence[Item]
) -> tuple[int, list[Result]]:
    """Give the exit code of the process and the results that it came to."""
    command = [sys.executable, "-m", "wslabel.stages.featurize.isolation"]
    done = subprocess.run(
        command, input=pickle.dumps((function, items)), capture_output=True, check=False
    )
    if done.returncode == BUG:
        # Not killed by the item but ended by an exception: a bug of ours, which must be seen.
        raise RuntimeError(done.stderr.decode(errors="replace"))
    results: list[Result] = []
    view = memoryview(done.stdout)
    while len(view) >= 8:
        size = int.from_bytes(view[:8], "big")
        if len(view) < 8 + size:
            break
        results.append(pickle.loads(view[8 : 8 + size]))
        view = view[8 + size :]
    return done.returncode, results


def serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer one request."""
    function, items = pickle.load(stdin)
    for item in items:
        data = pickle.dumps(function(item))
        stdout.write(len(data).to_bytes(8, "big") + data)
        stdout.flush()


def main() -> None:
    """Answer on standard output; what libraries print there goes to standard error."""
    sys.excepthook = _end_with_bug
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, answers)


def _end_with_bug(*error: Any) -> None:
    traceback.print_exception(*error)
    sys.stderr.flush()
    os._exit(BUG)


if __name__ == "__main__":
    main()
