"""Whatever a stranger calls things, a screen and a log show it, and are not steered by it."""

import ast
import io
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hidden import EVIL, NAMES, hidden
from wslabel.screen import LOG, say, visible


@given(NAMES)
def test_nothing_is_hidden_and_no_line_becomes_two(text: str) -> None:
    shown = visible(text)
    assert not hidden(shown)
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs"))))
def test_letters_of_all_scripts_stay_as_they_are(text: str) -> None:
    fillers = "\u115f\u1160\u3164\uffa0\u034f"
    if not any(filler in text for filler in fillers):
        assert visible(text) == text


@pytest.mark.parametrize(
    "text",
    ["👩\u200d🚀", "\u0645\u06cc\u200c\u062e\u0648", "क्\u200dष", "❤\ufe0f", "\u3000海\xa0", "a  b"],
)
def test_what_belongs_to_a_script_or_an_emoji_stays(text: str) -> None:
    assert visible(text) == text


def test_what_is_hidden_is_written_as_python_writes_it() -> None:
    assert visible("sea\u200d\u200d") == r"sea\u200d\u200d"
    assert visible("a\nb\tc\udc80\U000e0041") == r"a\nb\tc\udc80\U000e0041"


def test_lines_are_said_on_one_of_two_streams(capsys: pytest.CaptureFixture[str]) -> None:
    say("one", EVIL)
    say("two\nwslabel: all is well", error=True)
    printed = capsys.readouterr()
    assert printed.out == f"one\n{visible(EVIL)}\n"
    assert printed.err == "two\\nwslabel: all is well\n"


def test_a_terminal_that_lacks_letters_is_given_their_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    say("海 ä ± \udc80")
    stream.seek(0)
    assert stream.read() == "\\u6d77 ä ± \\udc80\n"


def test_the_log_shows_it_too(caplog: pytest.LogCaptureFixture) -> None:
    LOG.warning("%s: %s", EVIL, "trying again")
    assert caplog.messages == [f"{visible(EVIL)}: trying again"]
    assert logging.getLogger("wslabel") is LOG


PRINTERS = {
    "engine/cluster.py",  # keeps what Ray prints while it starts
    "features/decoder.py",  # a child whose last words are an error
    "engine/progress.py",  # a bar, and whether there is a terminal for it
    "project/reference.py",  # writes the reference
    "report/terminal.py",  # tables
    "screen.py",
    "stages/featurize/isolation.py",  # a child that talks to its parent
}
"""Files that know of the standard streams, of rich's console, or of `print`."""


def test_no_other_file_can_print() -> None:
    root, found = Path(__file__).parents[1] / "wslabel", set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            if name in ("print", "stdout", "stderr", "Console", "print_exc", "getLogger"):
                found.add(path.relative_to(root).as_posix())
    others = {"training/onnx.py", "training/tuner.py", "training/trainer.py"}  # quiet libraries
    assert found == PRINTERS | others | {"engine/actor_pool.py"}
