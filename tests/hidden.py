"""What must never reach a screen raw, told by Unicode's own tables and not by ours."""

import unicodedata
from collections.abc import Iterable

from hypothesis import strategies as st

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m[/x]\u200bz\x7f"
"""Renames a window, clears a screen, turns text around, and is no markup of rich's."""

NAMES = st.text(st.characters() | st.sampled_from("\x1b\x07\r\n\t[]/\\:.\u202e\u200b\u200d"))
"""Any text, such as a stranger's title."""


def hidden(text: str) -> set[str]:
    """Give the characters of a text that steer, hide, or deceive."""
    return {
        letter
        for letter in text
        if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
        or letter in TURNING
        or letter in "\u200b\u2060\ufeff\xad"
    }


def assert_shown(texts: Iterable[str]) -> None:
    """See that nothing hidden is in what was printed, line by line."""
    for text in texts:
        assert hidden(text) <= {"\n"}, ascii(text)
