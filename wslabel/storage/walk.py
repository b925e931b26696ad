"""The files below a folder on disk, each real folder gone through once, whatever links there are.

A symbolic link may lead anywhere: to what nobody meant to give, to the folder that it lies in, or
back and forth between two. So links are looked at last, one by one.
"""

import os
import stat
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

OUTSIDE = "symbolic links that lead out of the folder (follow_links: true takes them)"
LISTED = "symbolic links to what is listed anyway"
BROKEN = "symbolic links to nothing"
SPECIAL = "that are no files but pipes, sockets or devices"
UNNAMED = "whose names are no UTF-8"
"""Why something below a folder is left out."""


@dataclass(frozen=True)
class Entry:
    """One file under a root.

    Attributes:
        path: Path relative to what was listed.
        size: Bytes.
        mtime_ns: Time of change.
        real: Where a file is that was reached by a symbolic link; empty of all others.
    """

    path: str
    size: int
    mtime_ns: int
    real: str = ""

    @property
    def state(self) -> dict[str, str | int]:
        """Say what is another when the file was written anew."""
        return {"path": self.path, "size": self.size, "mtime_ns": self.mtime_ns}


@dataclass
class _Walk:
    """What was found so far.

    Attributes:
        left_out: What was not, by the reason.
        seen: Device and number of the folders that were gone through.
        found: The files.
        links: Paths of symbolic links that were not looked at yet.
    """

    left_out: Counter[str]
    seen: set[tuple[int, int]] = field(default_factory=set)
    found: list[Entry] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def go(self, root: str, below: str, real: str) -> None:
        """Go through a folder and what it holds but for links.

        Args:
            root: Folder that is walked.
            below: Path of this one below it; empty for the root.
            real: Where this one is, if a link led to it.
        """
        folders = [(below, real)]
        while folders:
            below, real = folders.pop()
            for entry in _children(os.path.join(root, below)):
                path = f"{below}/{entry.name}" if below else entry.name
                its = f"{real}/{entry.name}" if real else ""
                if not _is_text(entry.name):
                    self.left_out[UNNAMED] += 1
                elif entry.is_symlink():
                    self.links.append(path)
                elif not entry.is_dir(follow_symlinks=False):
                    self._add(entry, path, its)
                elif self.is_new(entry.stat(follow_symlinks=False)):
                    folders.append((path, its))

    def is_new(self, folder: os.stat_result) -> bool:
        """Tell whether a folder was not gone through yet, and note that it is now."""
        key = (folder.st_dev, folder.st_ino)
        is_new = key not in self.seen
        self.seen.add(key)
        return is_new

    def _add(self, entry: os.DirEntry[str], path: str, real: str) -> None:
        try:
            state = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # removed a moment ago, as the drafts of writers are
            return
        if stat.S_ISREG(state.st_mode):
            self.found.append(Entry(path, state.st_size, state.st_mtime_ns, real))
        else:
            self.left_out[SPECIAL] += 1


def walk(root: str, left_out: Counter[str], *, follow_links: bool = False) -> list[Entry]:
    """List the files below a folder, sorted by path; a folder that is not there is empty.

    The root may be a link itself. A link to a file below the root is another name of it. A link to
    a folder below the root adds nothing. What leads out of the root is left out or, where links are
    followed, gone through unless that was done.

    Args:
        root: The folder.
        left_out: Counts what is left out, by the reason.
        follow_links: Whether links that lead out of the folder are followed.
    """
    walked, top = _Walk(left_out), os.path.realpath(root)
    if not os.path.exists(root):
        return []
    walked.is_new(os.stat(root))
    walked.go(root, "", "")
    while walked.links:
        links, walked.links = sorted(walked.links), []
        for path in links:
            _follow(walked, root, path, None if follow_links else top)
    return sorted(walked.found, key=lambda entry: entry.path)


def _follow(walked: _Walk, root: str, path: str, within: str | None) -> None:
    """Take what a link leads to, unless it was gone through or lies out of a folder."""
    full = os.path.join(root, path)
    try:
        state, real = os.stat(full), os.path.realpath(full, strict=True)
    except (OSError, ValueError):  # to nothing, or to itself
        walked.left_out[BROKEN] += 1
        return
    if within is not None and not is_below(real, within):
        walked.left_out[OUTSIDE] += 1
    elif stat.S_ISREG(state.st_mode):
        walked.found.append(Entry(path, state.st_size, state.st_mtime_ns, real))
    elif not stat.S_ISDIR(state.st_mode):
        walked.left_out[SPECIAL] += 1
    elif walked.is_new(state):
        walked.go(root, path, real)
    else:
        walked.left_out[LISTED] += 1


def each_once(
    entries: list[Entry], root: str, left_out: Counter[str], first: Container[str] = ()
) -> list[Entry]:
    """Keep one path of each file that symbolic links give several.

    Args:
        entries: Files below a root.
        root: The root.
        left_out: Counts the other paths.
        first: Paths that are kept rather than others, and otherwise that which is no link.
    """
    if not any(entry.real for entry in entries):
        return entries
    top, kept = os.path.realpath(root), dict[str, Entry]()
    for entry in sorted(entries, key=lambda e: (e.path not in first, bool(e.real), e.path)):
        kept.setdefault(entry.real or f"{top}/{entry.path}", entry)
    if len(kept) < len(entries):
        left_out[LISTED] += len(entries) - len(kept)
    return sorted(kept.values(), key=lambda entry: entry.path)


def is_below(real: str, folder: str) -> bool:
    """Tell whether a real path lies in a real folder.

    >>> is_below("/data/a/b.jpg", "/data/a"), is_below("/data/ab.jpg", "/data/a")
    (True, False)
    """
    return Path(real).is_relative_to(folder)


def _children(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:  # removed since its parent was read
        return


def _is_text(name: str) -> bool:
    return name.isascii() or name == name.encode(errors="replace").decode()
