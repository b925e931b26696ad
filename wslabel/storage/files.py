"""Files that models and word vectors come from: local copies and content hashes.

A file is hashed once and remembered by its state on the disk; a remote file is copied once into
the cache folder, `WSLABEL_CACHE` or `~/.cache/wslabel`.
"""

import hashlib
import json
import os
import uuid
from pathlib import Path

from wslabel.config.base import S3
from wslabel.errors import WeightsError
from wslabel.storage.location import Location


def cache_folder() -> Path:
    """Name the folder where copies and remembered hashes are kept on this machine."""
    default = Path.home() / ".cache" / "wslabel"
    return Path(os.environ.get("WSLABEL_CACHE", default))


def local_copy(uri: str, s3: S3) -> Path:
    """Give a file of disk or S3 as a local path.

    Raises:
        WeightsError: there is no such file.
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
        _appear(copy, location.read(name).to_pybytes())
    return copy


def content_hash(path: Path) -> str:
    """Hash a file's bytes (SHA-256), once for as long as the file is surely the same."""
    stat = path.stat()
    # Files of images that are built to be reproducible all have one time of change; when a file
    # came to be on this machine, and where on its disk, nobody sets.
    state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_dev, stat.st_ino)
    key = hashlib.blake2b(f"{path.resolve()} {state}".encode(), digest_size=16).hexdigest()
    note = cache_folder() / "hashes" / key
    if note.is_file():
        return note.read_text()
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    _appear(note, digest.encode())
    return digest


def remembered(key: str) -> str | None:
    """Look up a small fact about this machine's libraries that was costly to find."""
    note = cache_folder() / "facts" / key
    return json.loads(note.read_text()) if note.is_file() else None


def remember(key: str, value: str) -> None:
    """Keep a small fact for the next run."""
    _appear(cache_folder() / "facts" / key, json.dumps(value).encode())


def _appear(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex}")
    draft.write_bytes(data)
    draft.replace(path)
