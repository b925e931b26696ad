"""Paths in settings: types that are made absolute, and seen to be there, while a file is read.

A relative path is relative to the folder of the file that names it, which the reader gives as
pydantic's validation context (`{"folder": Path}`). Settings that are made without a context, from
values that were read before, keep their paths as they are.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from wslabel.config.base import refuse, shortened
from wslabel.config.extras import EXTRAS, absence
from wslabel.errors import nearest

SCHEMES = ("s3", "gs", "az", "http", "https")
"""Schemes of the uris that are read; what has none is a path."""

_SCHEME = re.compile(r"([^/?#]*?)://")


def scheme_of(uri: str) -> str | None:
    """Give the scheme of a uri, None of a path.

    >>> scheme_of("s3://bucket/a"), scheme_of("zip://a::http://host/b"), scheme_of("/a://b")
    ('s3', 'zip', None)
    """
    found = _SCHEME.match(uri)
    return found[1] if found else None


def unreadable(scheme: str) -> str | None:
    """Say why uris of a scheme cannot be read here, None if they can.

    >>> unreadable("htps")
    "unknown scheme; did you mean 'https'?"
    """
    if scheme == "file":
        return "unknown scheme; a file of this machine is named by its path alone"
    if scheme not in SCHEMES:
        return f"unknown scheme; {nearest(scheme, SCHEMES)}"
    return absence(scheme) if scheme in EXTRAS else None


def is_remote(uri: str) -> bool:
    """Tell a uri with a scheme from a path."""
    return scheme_of(uri) is not None


def absolute(folder: Path, path: str) -> str:
    """Make a path absolute; a uri stays as it is."""
    return path if is_remote(path) else str((folder / path).resolve())


def place(path: str, info: ValidationInfo) -> str:
    """Make a path absolute; an s3:// uri stays as it is, any other scheme is refused."""
    folder = folder_of(info)
    if path.startswith("s3://") and "@" in path[5:].partition("/")[0]:
        raise refuse("a bucket must not carry credentials; set them in the environment")
    if folder is None or path.startswith("s3://"):
        return path
    if is_remote(path):
        raise refuse(f"expected a path or s3://..., found {shortened(path)}")
    try:
        full = (folder / path).resolve()
        full.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop
        reason = getattr(error, "strerror", None) or error
        raise refuse(f"{shortened(path)} is no path: {reason}") from None
    return str(full)


def existing(path: str, info: ValidationInfo) -> str:
    """Make a path absolute and see that there is a file or folder; S3 is not asked."""
    full = place(path, info)
    if folder_of(info) is not None and not is_remote(full) and not Path(full).exists():
        siblings = [sibling.name for sibling in Path(full).parent.glob("*")]
        raise refuse(f"there is no file '{full}'; {nearest(Path(full).name, siblings)}")
    return full


def existing_or_uri(path: str, info: ValidationInfo) -> str:
    """Make a path absolute and see that it is there; a uri of a scheme that is read stays."""
    scheme = scheme_of(path)
    if scheme is None:
        return existing(path, info)
    if reason := unreadable(scheme):
        raise refuse(f"{shortened(path)}: {reason}")
    return path


def folder_of(info: ValidationInfo) -> Path | None:
    """Give the folder that relative paths are relative to; None outside of a file."""
    folder: Path | None = (info.context or {}).get("folder")
    return folder


AnyPath = Annotated[str, AfterValidator(place)]
"""A local path or an s3:// uri of something that may not be there yet."""

ExistingPath = Annotated[str, AfterValidator(existing)]
"""A local path of something that is there, or an s3:// uri."""

ExistingPathOrUri = Annotated[str, AfterValidator(existing_or_uri)]
"""A local path of something that is there, or a uri of one of `SCHEMES`."""
