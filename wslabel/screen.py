"""What reaches a screen or a log: whatever would steer a terminal, or deceive, is shown instead.

Titles, ids, paths, names, and what servers and libraries say come from strangers: an escape
sequence in one of them could hide a line, or write one that looks like ours, and a uri may hold a
password. Data stays as it is; everything that is printed goes through `say`, `visible` or `LOG`.
"""

import logging
import re
import sys

from wslabel.uri import hushed

_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls, of which escape sequences are made
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # that turn the direction of text
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u3164\ufeff\uffa0"  # of no width
    "\u2028\u2029\ufff0-\ufffb\ufffe\uffff\ud800-\udfff"  # that end a line, or are no letters
    "\U000e0000-\U000e007f"  # letters that nobody sees
    "]"
    # Joiners belong to emoji and to some scripts, never to what follows nothing or ASCII.
    "|(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]"
)


def visible(text: str) -> str:
    r"""Show what is hidden in a text, on one line.

    >>> print(visible("a\x1b[2Jb\nc"), visible("cod\u202egpj.exe"), visible("海 👩\u200d🚀"))
    a\x1b[2Jb\nc cod\u202egpj.exe 海 👩‍🚀
    """
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(*lines: str, error: bool = False) -> None:
    """Print lines; what one of them hides is shown, so that none becomes two.

    Args:
        lines: What is said.
        error: Whether it goes to standard error.
    """
    stream = sys.stderr if error else sys.stdout
    known = stream.encoding or "utf-8"
    for line in lines:
        # Letters that a terminal does not know are shown by their numbers, too.
        text = visible(hushed(line)).encode(known, "backslashreplace").decode(known)
        print(text, file=stream, flush=True)


class _Visible(logging.Filter):
    """Shows what is hidden in what is logged, but for passwords."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = visible(hushed(record.getMessage())), ()
        return True


LOG = logging.getLogger("wslabel")
"""The log, of what a user should know and no result tells."""

LOG.addFilter(_Visible())
