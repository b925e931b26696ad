"""A manifest: CSV, packed CSV or Parquet, as the first byte says, and which columns are wanted."""

import csv
import gzip
import io
import random
import zlib
from collections.abc import Iterator

from tests.fuzz.refusals import listed, scratch
from tests.hostile.damage import damaged
from tests.hostile.manifests import FULL, manifests
from wslabel.sources.table import TableConfig

READS = ("wslabel", "csv")
WORDS = (b"uri", b"id", b"class", b"part", b"title", b"train", b"val", b"test", b'"', b'""', b",",
         b"\r\n", b"\xef\xbb\xbf", b"s3://", b"http://", b"://", b"#bytes=0-9",
         b"?X-Amz-Signature=", b"PAR1", b"ARROW:schema", b"\x1f\x8b", b"user:secret@")  # fmt: skip

FOLDER = scratch()
NAMES = ("list.csv", "list.csv.gz", "list.parquet")
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    FULL,
    {"truth": "class", "classes": {"sea": "coast"}},
)


def one_input(data: bytes) -> None:
    kind, settings = _chosen(data)
    path = FOLDER / NAMES[kind]
    path.write_bytes(data[1:])
    values = {"source": "table", "path": str(path)} | SETTINGS[settings]
    listing = listed(TableConfig.model_validate(values), FOLDER)
    if listing is not None and kind == 0:
        # Columns that nobody asked for may be of any bytes.
        text = io.StringIO(data[1:].decode("utf-8-sig", "replace"), newline="")
        rows = [row for row in csv.reader(text, strict=True) if row]
        assert listing.num_rows == len(rows) - 1, "rows were left out"


def _chosen(data: bytes) -> tuple[int, int]:
    choice = data[0] if data else 0
    return choice % len(NAMES), choice // len(NAMES) % len(SETTINGS)


def seeds() -> Iterator[bytes]:
    for manifest in manifests():
        if len(manifest.data) < 20_000:
            ending = manifest.name.partition(".")[2]
            kind = [name.partition(".")[2] for name in NAMES].index(ending)
            for settings in range(len(SETTINGS) if manifest.settings else 1):
                yield bytes([kind + settings * len(NAMES)]) + manifest.data


def mutated(data: bytes, rng: random.Random) -> bytes:
    kind, _ = _chosen(data)
    if kind != 1 or rng.random() < 0.1:
        return data[:1] + damaged(data[1:], rng)
    try:
        unpacked = zlib.decompressobj(31).decompress(data[1:], 2**16)
    except zlib.error:
        unpacked = data[1:]
    return data[:1] + gzip.compress(damaged(unpacked, rng), 1, mtime=0)
