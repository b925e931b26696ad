"""Call a function on each of many items in a process of their own, and survive its death.

Run as a module it is the other side: reads a pickled function and then items from standard input,
one by one, and writes a pickle per result. The item that has no result when it dies killed it.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any, BinaryIO, Generic, TypeVar

from wslabel.features.time_limit import TIMED_OUT

BUG = 70
"""Exit code of a child that an exception ended (EX_SOFTWARE); items may end it with any other."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    on_crash: Result,
    on_timeout: Result,
) -> list[Result]:
    """Map items to results; one item at a time is held here and there.

    Args:
        function: What is done to each item.
        items: What it is done to.
        on_crash: Result of an item that kills its process.
        on_timeout: Result of an item whose process a time limit ended.
    """
    results: list[Result] = []
    child: _Child[Item, Result] | None = None
    try:
        for item in items:
            child = child or _Child(function)
            try:
                results.append(child(item))
            except EOFError:
                dead, child = child, None
                results.append(on_timeout if dead.end() == TIMED_OUT else on_crash)
    finally:
        if child is not None:
            child.end()
    return results


class _Child(Generic[Item, Result]):
    """A process that has the function and waits for items."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the child ends
        self._process = subprocess.Popen(
            # Finds what this process finds, and nothing that lies where it happens to run.
            [sys.executable, "-P", "-m", "wslabel.stages.featurize.isolation"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._send(function)

    def __call__(self, item: Item) -> Result:
        """Do it.

        Raises:
            EOFError: The process died of it.
        """
        self._send(item)
        assert self._process.stdout is not None
        result: Result = _received(self._process.stdout)
        return result

    def _send(self, what: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead, as reading will tell
            _send(self._process.stdin, what)

    def end(self) -> int:
        """Give the exit code.

        Raises:
            RuntimeError: It was not killed by an item but ended by an exception: a bug of ours.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        code = self._process.wait()
        with self._errors as errors:
            errors.seek(0)
            if code == BUG:
                raise RuntimeError(errors.read().decode(errors="replace"))
        return code


def _send(stream: IO[bytes], what: object) -> None:
    data = pickle.dumps(what)
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def _received(stream: IO[bytes]) -> Any:
    head = stream.read(8)
    size = int.from_bytes(head, "big")
    data = stream.read(size)
    if len(head) < 8 or len(data) < size:
        raise EOFError
    return pickle.loads(data)


def serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer until there is nothing more to do."""
    function = _received(stdin)
    while True:
        try:
            item = _received(stdin)
        except EOFError:
            return
        _send(stdout, function(item))


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
