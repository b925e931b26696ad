"""A tar file of a WebDataset. The first byte says what is asked of its samples."""

import io
import json
import random
import tarfile
from collections.abc import Iterator

from tests.fuzz.refusals import listed, scratch
from tests.hostile.damage import damaged
from wslabel.sources.webdataset import WebDatasetConfig

READS = ("wslabel", "tarfile", "json")
WORDS = (b"ustar\0", b"ustar  \0", b".jpg", b".cls", b".json", b".txt", b"GNU.sparse.map",
         b"30 mtime=1\n", b"path=", b"size=", b"././@LongLink", b"././@PaxHeader")  # fmt: skip

FOLDER = scratch()
PATH = FOLDER / "a.tar"
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"truth": "cls"},
    {"truth": "cls", "classes": {"sea": "1"}, "metadata": ["txt", "title"]},
    {"metadata": ["json"]},
)
BLOCK = tarfile.BLOCKSIZE
CHECKSUM = slice(148, 156)


def one_input(data: bytes) -> None:
    settings = SETTINGS[(data[0] if data else 0) % len(SETTINGS)]
    PATH.write_bytes(data[1:])
    values = {"source": "webdataset", "path": str(PATH)} | settings
    listing = listed(WebDatasetConfig.model_validate(values), FOLDER)
    if listing is None:
        return
    for uri in listing.column("uri").to_pylist():
        path, _, part = uri.rpartition("#bytes=")
        first, last = map(int, part.split("-")) if part.count("-") == 1 else (0, -2)
        assert path == str(PATH)
        assert 0 <= first <= last + 1 <= len(data) - 1, f"{uri} of {len(data) - 1} bytes"


def seeds() -> Iterator[bytes]:
    members = {
        "000.jpg": b"first",
        "000.cls": b"1\n",
        "000.txt": "größer".encode(),
        "000.json": json.dumps({"title": "Waves", "width": 96}).encode(),
        "deep/001.PNG": b"second" * 100,
        "deep/001.json": json.dumps({"title": None}).encode(),
        f"{'long/' * 60}002.webp": b"",
        "notes": b"no extension",
    }
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
            for name, content in members.items():
                member = tarfile.TarInfo(name if form != tarfile.USTAR_FORMAT else name[-90:])
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            link = tarfile.TarInfo("link.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        for settings in range(len(SETTINGS)):
            yield bytes([settings]) + sink.getvalue()[: -16 * BLOCK]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Damage a file, then put the checksums of its headers right, or all damage ends there."""
    body = bytearray(_moved(data[1:], rng) if rng.random() < 0.3 else damaged(data[1:], rng))
    for start in range(0, len(body) - BLOCK + 1, BLOCK):
        header = body[start : start + BLOCK]
        if header[257:262] == b"ustar" and rng.random() < 0.9:
            header[CHECKSUM] = b" " * 8
            body[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    return data[:1] + bytes(body)


def _moved(data: bytes, rng: random.Random) -> bytes:
    """Leave out, repeat or move whole blocks."""
    blocks = [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)] or [b""]
    start = rng.randrange(len(blocks))
    part = blocks[start : start + rng.randint(1, 3)]
    if rng.random() < 0.6:
        del blocks[start : start + len(part)]
    place = rng.randrange(len(blocks) + 1)
    return b"".join(blocks[:place] + part + blocks[place:])
