"""Names that a project file gives, of which folders, files and columns of a workspace are made."""

import re
from dataclasses import dataclass

from wslabel.config.base import refuse, shortened
from wslabel.schema import RESERVED

LONGEST = 100
"""Letters of the longest name: a file system takes 255, and a folder's name is a part of it."""


@dataclass(frozen=True)
class _Rule:
    """What may be a name.

    Attributes:
        noun: What it names.
        first: Characters that it may begin with, as a regular expression has them.
        others: Those that may follow.
        words: The same in words.
    """

    noun: str
    first: str
    others: str
    words: str

    def check(self, name: str) -> str:
        if len(name) > LONGEST:
            raise refuse(f"{shortened(name)} is too long for a name: {len(name)} > {LONGEST}")
        if not re.fullmatch(f"[{self.first}][{self.others}]*", name):
            raise refuse(
                f"{name!r} cannot name a {self.noun}; use {self.words}{self._nearest(name)}"
            )
        return name

    def _nearest(self, name: str) -> str:
        near = re.sub(f"[^{self.others}]+", "_", name).strip("_.-")
        near = re.sub(f"^[^{self.first}]+", "", near)
        return f", as in '{near}'" if near else ""


_WORD = "A-Za-z_", "A-Za-z0-9_", "letters, digits and '_'"
_COLUMN, _NETWORK = _Rule("column", *_WORD), _Rule("network", *_WORD)
_FOLDER = _Rule("folder", "A-Za-z0-9_", "A-Za-z0-9_.-", "letters, digits, '_', '.' and '-'")


def column_name(name: str) -> str:
    """Refuse what cannot name a column, as a labeling function does.

    >>> column_name("mean_color")
    'mean_color'

    Raises:
        PydanticCustomError: Says what can, and a name like it.
    """
    if name in RESERVED:
        raise refuse(f"'{name}' cannot name a column; there is one of ours")
    return _COLUMN.check(name)


def network_name(name: str) -> str:
    """Refuse what cannot name a network.

    >>> network_name("smoothed")
    'smoothed'

    Raises:
        PydanticCustomError: Says what can, and a name like it.
    """
    return _NETWORK.check(name)


def folder_name(name: str) -> str:
    """Refuse what cannot name a folder of a workspace, as a feature does.

    >>> folder_name("clip-B.32")
    'clip-B.32'

    Raises:
        PydanticCustomError: Says what can, and a name like it.
    """
    return _FOLDER.check(name)
