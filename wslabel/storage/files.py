"""Files that models and word vectors come from: local copies and content hashes.

A file is hashed once and remembered by its state on the disk; a remote file is copied once into
the cache folder, `WSLABEL_CACHE` or `~/.cache/wslabel`.
"""

import hashlib
import json
import os
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path

from wslabel.config.base import S3
from wslabel.errors import StorageError, TransientStorageError, WeightsError
from wslabel.storage.failures import stops
from wslabel.storage.location import Location, sync_folder

PRIVATE = 0o700
OTHERS_WRITE = 0o022


def cache_folder() -> Path:
    """Make the folder where copies and remembered hashes are kept on this machine, for us alone.

    What lies there is believed: a hash that is remembered there names the tables of a workspace.

    Raises:
        StorageError: Others may write to it, or it cannot be made.
    """
    default = Path.home() / ".cache" / "wslabel"
    folder = Path(os.environ.get("WSLABEL_CACHE", default))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        _make_private(folder)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise _refused(folder, error) from error
    return folder


def _make_private(folder: Path) -> None:
    state, user = folder.stat(), os.geteuid()
    mode = stat.S_IMODE(state.st_mode)
    if state.st_uid == user:
        if mode != PRIVATE:
            folder.chmod(PRIVATE)
    elif mode & OTHERS_WRITE or 0 not in (state.st_uid, user):
        raise StorageError(
            f"{folder}: another user may write to this folder, and what it holds is believed; "
            "WSLABEL_CACHE names another one"
        )


def local_copy(uri: str, s3: S3) -> Path:
    """Give a file of disk or S3 as a local path.

    Raises:
        WeightsError: there is no such file.
        StorageError: it cannot be kept on this machine, or was changed while it was copied.
    """
    if not uri.startswith("s3://"):
        path = Path(uri)
        if not path.is_file():
            raise WeightsError(
                f"there is no file '{uri}' on this machine; put it where all can read"
            )
        return path
    parent, _, name = uri.rpartition("/")
    location = Location(parent, s3)
    found = location.entry(name)
    if found is None:
        raise WeightsError(f"there is no object '{uri}'")
    key = hashlib.blake2b(
        f"{uri} {found.size} {found.mtime_ns}".encode(), digest_size=8
    ).hexdigest()
    copy = cache_folder() / "files" / key / name
    if not copy.is_file():
        _appear(copy, location.pieces(name))
        if location.entry(name) != found:
            copy.unlink()
            raise TransientStorageError(f"'{uri}' was changed while it was copied; run again")
    return copy


def content_hash(path: Path) -> str:
    """Hash a file's bytes (SHA-256), once for as long as the file is surely the same."""
    now = path.stat()
    # Files of images that are built to be reproducible all have one time of change; when a file
    # came to be on this machine, and where on its disk, nobody sets.
    state = (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_dev, now.st_ino)
    key = hashlib.blake2b(f"{path.resolve()} {state}".encode(), digest_size=16).hexdigest()
    note = cache_folder() / "hashes" / key
    if note.is_file():
        return note.read_text()
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    _appear(note, [digest.encode()])
    return digest


def remembered(key: str) -> str | None:
    """Look up a small fact about this machine's libraries that was costly to find."""
    note = cache_folder() / "facts" / key
    value = json.loads(note.read_text()) if note.is_file() else None
    return value if isinstance(value, str) else None


def remember(key: str, value: str) -> None:
    """Keep a small fact for the next run."""
    _appear(cache_folder() / "facts" / key, [json.dumps(value).encode()])


def _appear(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file piece by piece; it appears whole, and outlasts a loss of power."""
    draft = path.with_name(f".{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise _refused(path, error) from error
    finally:
        draft.unlink(missing_ok=True)


def _refused(path: Path, error: OSError) -> OSError:
    """Say what to do about a cache that takes nothing; what passes stays as it is."""
    advice = stops(error)
    if advice is None:
        return error
    return StorageError(f"{path}: {advice}; WSLABEL_CACHE names another folder")
