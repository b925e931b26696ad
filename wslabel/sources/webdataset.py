"""WebDataset source: tar files whose neighboring members make up a sample; images stay in there.

Members that share a path up to the first dot of their name are one sample, and what follows the
dot says what each is: `0001.jpg`, `0001.cls`, `0001.json`. Format:
https://github.com/webdataset/webdataset. Only the headers and the small members are read; an
image is later fetched as the range of bytes that it takes in its tar file.
"""

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import model_validator

from wslabel.config.base import S3, refuse
from wslabel.config.paths import ExistingPath
from wslabel.errors import SourceError, nearest
from wslabel.sources.fetch import part_of
from wslabel.sources.listing import LISTING, check, left_out, truths
from wslabel.sources.source import EXTENSIONS, MetadataNames, SourceConfig, SourceContext
from wslabel.storage.failures import retrying
from wslabel.storage.location import Location
from wslabel.storage.walk import Entry, each_once

THREADS = 16
"""Tar files indexed at a time."""

BUFFER = 2**18
"""Bytes read at once; small images are read through, over large ones it leaps."""

FEW, MOST_NAMES, LONGEST_NAME = 1000, 10_000, 100
"""Samples of a tar file whose names are remembered, to tell the nearest one, and how many names,
of how many letters, in all tar files together."""

LARGEST_TEXT = 2**20
"""Most bytes of a member that is read as text; what has more holds no value."""

LARGEST_MEMBER = 2**50
LARGEST_HEADER = 2**16
"""Most bytes that a header may say of a file, and of what it says itself of the file after it."""

MOST_HEADERS, MOST_KEYS = 2**17, 1000
"""Most bytes of all headers of one member, and of keys that headers give to all members after."""

LONG_NUMBER = re.compile(rb"[0-9]{200}")
"""A row of digits in a header, in which tarfile looks for a number from every one of them."""

HEADERS = frozenset(
    {
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)
"""Types of the headers that are read whole."""


class WebDatasetConfig(SourceConfig):
    """Tar files in the format of WebDataset; the images stay in there.

    Attributes:
        source: Name of this kind of source.
        path: Folder or S3 prefix that holds tar files, or one tar file.
        truth: Member by its extension (`cls`), or key of the member `json`, with the source's own
            name of a class; null leaves all images without truth.
        metadata: Members by their extension (`txt`), or keys of the member `json`, that travel
            along as text.
        classes: Values of `truth` that stand for each class; null takes them as they are.
        extensions: Endings of the members that count as images, in lower case.
        follow_links: Whether symbolic links are followed that lead out of `path`; otherwise they
            are left out.
    """

    source: Literal["webdataset"]
    path: ExistingPath
    truth: str | None = None
    metadata: MetadataNames = []
    classes: dict[str, str | list[str]] | None = None
    extensions: list[str] = list(EXTENSIONS)
    follow_links: bool = False

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {
        *("path", "extensions", "follow_links"),
    }

    @model_validator(mode="after")
    def _no_truth_in_json(self) -> Self:
        if self.truth is not None and "json" in self.metadata:
            raise refuse(
                "metadata: the member 'json' may hold the truth too, which labeling functions "
                "must never see; name those of its keys that they may"
            )
        return self

    @property
    def own_places(self) -> tuple[str, ...]:
        """Name the folder of the tar files."""
        return (self.path,)

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the samples of all tar files; the id of an image is its tar file and its key.

        Raises:
            SourceError: a file is no whole tar file, a sample has two images, or none has a value
                that is asked for.
            TransientStorageError: storage failed again and again.
        """
        place, entries = _tars(self, context.s3, context.skipped)
        names = list(dict.fromkeys([*self.metadata, *([self.truth] if self.truth else [])]))
        with ThreadPoolExecutor(THREADS) as pool:
            known: set[str] = set()
            indexes = list(pool.map(lambda e: _index(place, e.path, self, names, known), entries))
        rows = [row for index in indexes for row in index.rows]
        values = {name: [row[2][number] for row in rows] for number, name in enumerate(names)}
        _refuse_absent(values, known, self.path)
        own = values.get(self.truth or "", [None] * len(rows))
        columns: dict[str, list[str | None]] = {
            "image_id": [row[0] for row in rows],
            "uri": [row[1] for row in rows],
            "split": [None] * len(rows),
            "truth": truths(self.classes, own),
        }
        columns |= {name: values[name] for name in self.metadata}
        fields = [pa.field(name, pa.string()) for name in self.metadata]
        listing = pa.table(columns, schema=pa.schema([*LISTING, *fields]))
        return check(listing, self.path, context.skipped)

    def listing_state(self, s3: S3) -> object:
        """List the tar files with their sizes and times of change."""
        return [entry.state for entry in _tars(self, s3, Counter())[1]]

    def reads(self, extension: str) -> bool:
        """Tell whether members of an extension may hold a value that is asked for."""
        names = [name for name in (self.truth, *self.metadata) if name is not None]
        return bool(names) and extension in (*names, "json")


@dataclass(kw_only=True)
class Sample:
    """One sample.

    Attributes:
        image_id: Tar file, folder in it and key of the sample.
        uri: Range of the tar file that is its image; empty as long as none was met.
        extension: Extension of its image.
        texts: Small members that hold values, by their extensions.
        unread: Extensions of some of its other members.
    """

    image_id: str
    uri: str = ""
    extension: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    def take_image(self, extension: str, uri: str) -> None:
        """Note where the image is.

        Raises:
            ValueError: there is one already.
        """
        if self.uri:
            raise ValueError(
                f"'{self.image_id}' has two images, .{self.extension} and .{extension}; "
                "images.extensions says which count"
            )
        self.uri, self.extension = uri, extension

    def described(self) -> dict[str, Any]:
        """Parse the member `json`."""
        try:
            described = json.loads(self.texts.get("json", "{}"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the .json of '{self.image_id}' is no JSON: {error}") from None
        return described if isinstance(described, dict) else {}

    def values(self, names: Sequence[str]) -> list[str | None]:
        """Look each name up: a member by its extension or else a key of the member `json`."""
        described = self.described()
        values: list[str | None] = []
        for name in names:
            value = self.texts[name].strip() if name in self.texts else described.get(name)
            text = value if value is None or isinstance(value, str) else json.dumps(value)
            values.append(text)
            (text or "").encode()  # a lone surrogate is no text
        return values


@dataclass
class Index:
    """What the samples of one tar file hold.

    Attributes:
        rows: Id, uri and values of each sample that has an image.
        known: Names of the members and keys of the first samples, of all tar files.
    """

    known: set[str]
    rows: list[tuple[str, str, list[str | None]]] = field(default_factory=list)

    def add(self, sample: Sample | None, names: Sequence[str]) -> None:
        """Keep a sample that has an image; the names that it knows only of the first ones."""
        if sample is None or not sample.uri:
            return
        sample.image_id.encode()
        self.rows.append((sample.image_id, sample.uri, sample.values(names)))
        if len(self.rows) <= FEW:
            _remember(self.known, [*sample.texts, *sample.unread, *sample.described()])


def _remember(known: set[str], names: Sequence[str]) -> None:
    """Keep names for a hint, as far as they are short and not too many."""
    short = [name for name in names if len(name) <= LONGEST_NAME and name not in known]
    known.update(short[: max(0, MOST_NAMES - len(known))])


def _tars(
    settings: WebDatasetConfig, s3: S3, skipped: Counter[str]
) -> tuple[Location, list[Entry]]:
    """List the tar files of a folder, or the one that a path names."""
    root, _, name = settings.path.rstrip("/").rpartition("/")
    if name.endswith(".tar"):
        place = Location(root, s3)
        entry = place.entry(name)
        entries = [] if entry is None else [entry]
    else:
        place = Location(settings.path, s3)
        found = place.files(
            "", recursive=True, follow_links=settings.follow_links, left_out=skipped
        )
        tars = [entry for entry in found if entry.path.endswith(".tar")]
        entries = each_once(tars, place.root, skipped)
    if not entries:
        raise SourceError(f"{settings.path}: no tar file found{left_out(skipped)}")
    return place, entries


def _refuse_absent(values: Mapping[str, Sequence[str | None]], known: set[str], path: str) -> None:
    for name, column in values.items():
        if all(value is None for value in column):
            raise SourceError(
                f"{path}: no sample has '{name}', neither as a member nor in its .json; "
                f"{nearest(name, known)}"
            )


def _index(
    place: Location,
    path: str,
    settings: WebDatasetConfig,
    names: Sequence[str],
    known: set[str],
) -> Index:
    uri = place.uri(path)
    try:
        return retrying(lambda: _gone_through(place, path, settings, names, known), uri)
    except (tarfile.TarError, EOFError, RecursionError) as error:
        raise SourceError(f"{uri}: this is no whole tar file: {error}") from None
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from None


def _gone_through(
    place: Location,
    path: str,
    settings: WebDatasetConfig,
    names: Sequence[str],
    known: set[str],
) -> Index:
    index, sample = Index(known), None
    for member, stream in _members(place, path):
        folder, _, name = member.name.rpartition("/")
        key, _, extension = name.partition(".")
        image_id = "/".join(part for part in (path, folder, key) if part)
        if sample is None or sample.image_id != image_id:
            index.add(sample, names)
            sample = Sample(image_id=image_id)
        extension = extension.lower()
        if f".{extension}" in settings.extensions:
            part = part_of(place.uri(path), member.offset_data, member.size)
            sample.take_image(extension, part)
        elif member.size <= LARGEST_TEXT and settings.reads(extension):
            stream.seek(member.offset_data)
            try:
                sample.texts[extension] = stream.read(member.size).decode()
            except UnicodeDecodeError as error:
                raise ValueError(f"the member '{member.name}' is no text: {error}") from None
        else:
            _remember(sample.unread, [extension])
    index.add(sample, names)
    return index


class _Header(tarfile.TarInfo):
    """A header of a tar file, which must not say that something is smaller than nothing.

    The library believes sizes: it goes round in a circle after a negative one, and reads as much as
    a header for a long name asks for.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Parse a header.

        Raises:
            InvalidHeaderError: its size is none.
        """
        header = super().frombuf(buf, encoding, errors)
        most = LARGEST_HEADER if header.type in HEADERS else LARGEST_MEMBER
        if not 0 <= header.size <= most:
            raise tarfile.ReadError(f"a header says {header.size:,} bytes")
        return header

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """Read the next header, of which a member may have several.

        Raises:
            ReadError: those so far hold for all members and are too many, as each takes a copy.
        """
        _refuse_many_keys(tarfile)
        return super().fromtarfile(tarfile)


def _refuse_many_keys(tar: tarfile.TarFile) -> None:
    if len(tar.pax_headers) > MOST_KEYS:
        raise tarfile.ReadError(f"headers give more than {MOST_KEYS:,} keys to all members")


class _Headers:
    """A tar file for the library, which reads as many headers of a member as there are."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.left = stream, MOST_HEADERS
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """Read a piece of a header.

        Raises:
            ReadError: the headers of this member are too large, or would be searched for long.
        """
        self.left -= size
        data: bytes = self.stream.read(size) if self.left >= 0 else b""
        if self.left < 0 or LONG_NUMBER.search(data):
            raise tarfile.ReadError(
                f"a member has more than {MOST_HEADERS:,} bytes of headers, or a row of 200 digits "
                "in one"
            )
        return data


def _members(place: Location, path: str) -> Iterator[tuple[tarfile.TarInfo, Any]]:
    with place.open(path) as opened:
        stream: Any = io.BufferedReader(opened, BUFFER)
        # A tar file is not compressed: only then is an image a range of it.
        headers: Any = _Headers(stream)
        with tarfile.open(fileobj=headers, mode="r:", tarinfo=_Header) as tar:
            end = 0
            while (member := tar.next()) is not None:
                headers.left = MOST_HEADERS
                # Or what all members say would be held; the library's types do not know the list.
                tar.members.clear()  # type: ignore[attr-defined]
                if member.size < 0 or tar.offset <= end:  # as a header for another one can say
                    raise tarfile.ReadError(f"'{member.name}' has {member.size:,} bytes")
                end = tar.offset
                # A sparse member is not stored as it is, and a link is none.
                if member.isreg() and not member.issparse():
                    yield member, stream
            # Past the first header tarfile takes a broken one for the end.
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"no end of the archive at byte {tar.offset}")
