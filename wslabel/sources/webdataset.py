"""WebDataset source: tar files whose neighboring members make up a sample; images stay in there.

Members that share a path up to the first dot of their name are one sample, and what follows the
dot says what each is: `0001.jpg`, `0001.cls`, `0001.json`. Format:
https://github.com/webdataset/webdataset. Only the headers and the small members are read; an
image is later fetched as the range of bytes that it takes in its tar file.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from wslabel.errors import SourceError, nearest
from wslabel.settings import S3, WebDataset
from wslabel.sources.fetch import part_of
from wslabel.sources.listing import LISTING, check, truths
from wslabel.storage.location import Entry, Location

THREADS = 16
"""Tar files indexed at a time."""

BUFFER = 2**18
"""Bytes read at once; small images are read through, over large ones it leaps."""

LARGEST_TEXT = 2**20
"""Bytes of a member that is read as text; more is an image or none of ours."""


@dataclass
class Sample:
    """One sample: where its image is, its small members by extension, and extensions not read."""

    image_id: str
    uri: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    @cached_property
    def described(self) -> dict[str, Any]:
        """The member `json`."""
        found = json.loads(self.texts.get("json", "{}"))
        return found if isinstance(found, dict) else {}

    def value(self, name: str) -> str | None:
        """Look up a member by its extension or, if there is none, a key of the member `json`."""
        if name in self.texts:
            return self.texts[name].strip()
        value = self.described.get(name)
        return value if value is None or isinstance(value, str) else json.dumps(value)


def tars(settings: WebDataset, s3: S3) -> tuple[Location, list[Entry]]:
    """List the tar files of a folder, or the one that a path names.

    Raises:
        SourceError: there is none.
    """
    root, _, name = settings.path.rstrip("/").rpartition("/")
    if name.endswith(".tar"):
        place = Location(root, s3)
        entry = place.entry(name)
        found = [] if entry is None else [entry]
    else:
        place = Location(settings.path, s3)
        found = [e for e in place.files("", recursive=True) if e.path.endswith(".tar")]
    if not found:
        raise SourceError(f"{settings.path}: no tar file found")
    return place, found


def read(settings: WebDataset, s3: S3) -> pa.Table:
    """List the samples of all tar files; the id of an image is its tar file and its key.

    Raises:
        SourceError: a file is no tar file, or no sample has an image or a value that is asked for.
    """
    place, entries = tars(settings, s3)
    with ThreadPoolExecutor(THREADS) as pool:
        lists = pool.map(lambda entry: list(_samples(place, entry.path, settings)), entries)
        samples = [sample for found in lists for sample in found]
    wanted = [*settings.metadata, *([settings.truth] if settings.truth else [])]
    values = {name: _values(samples, name, settings) for name in wanted}
    own = values.get(settings.truth or "", [None] * len(samples))
    columns: dict[str, list[str | None]] = {
        "image_id": [sample.image_id for sample in samples],
        "uri": [sample.uri for sample in samples],
        "split": [None] * len(samples),
        "truth": truths(settings.classes, own),
    }
    columns |= {name: values[name] for name in settings.metadata}
    fields = [pa.field(name, pa.string()) for name in settings.metadata]
    return check(pa.table(columns, schema=pa.schema([*LISTING, *fields])), settings.path)


def _samples(place: Location, path: str, settings: WebDataset) -> Iterator[Sample]:
    """Go through one tar file and give the samples that have an image."""
    sample: Sample | None = None
    try:
        for member, stream in _members(place, path):
            folder, _, name = member.name.rpartition("/")
            key, _, extension = name.partition(".")
            image_id = "/".join(part for part in (path, folder, key) if part)
            if sample is None or sample.image_id != image_id:
                if sample is not None and sample.uri:
                    yield sample
                sample = Sample(image_id)
            extension = extension.lower()
            if f".{extension}" in settings.extensions:
                sample.uri = part_of(place.uri(path), member.offset_data, member.size)
            elif member.size <= LARGEST_TEXT and settings.reads(extension):
                stream.seek(member.offset_data)
                sample.texts[extension] = stream.read(member.size).decode()
            else:
                sample.unread.append(extension)
    except (tarfile.TarError, UnicodeDecodeError, EOFError) as error:
        raise SourceError(f"{place.uri(path)}: this is no whole tar file: {error}") from None
    if sample is not None and sample.uri:
        yield sample


def _members(place: Location, path: str) -> Iterator[tuple[tarfile.TarInfo, Any]]:
    with place.open(path) as opened:
        stream: Any = io.BufferedReader(opened, BUFFER)
        # A tar file is not compressed: only then is an image a range of it.
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                # A sparse member is not stored as it is, and a link is none.
                if member.isreg() and not member.issparse():
                    yield member, stream


def _values(samples: list[Sample], name: str, settings: WebDataset) -> list[str | None]:
    try:
        values = [sample.value(name) for sample in samples]
    except json.JSONDecodeError as error:
        raise SourceError(f"{settings.path}: a member .json is no JSON: {error}") from None
    if all(value is None for value in values):
        known = {key for sample in samples[:1000] for key in (*sample.texts, *sample.unread)}
        known |= {key for sample in samples[:1000] for key in sample.described}
        raise SourceError(
            f"{settings.path}: no sample has '{name}', neither as a member nor in its .json; "
            f"{nearest(name, known)}"
        )
    return values
