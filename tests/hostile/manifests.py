"""Manifests that are odd or broken, as a generator: a file, settings, and what is to come of it."""

import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FULL = {"image_id": "id", "truth": "class", "split_column": "part", "metadata": ["title"]}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One manifest.

    Attributes:
        what: What is odd or broken about it, in a few words.
        name: Name of its file.
        data: Bytes of its file.
        says: The refusal, a regular expression; None where all rows are taken.
        rows: Number of rows, where it is taken.
        missing: Number of rows that turn out to be no images.
        settings: Settings of the source beside its path.
    """

    what: str
    name: str
    data: bytes
    says: str | None = None
    rows: int = 0
    missing: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


def parquet(columns: dict[str, Any] | pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink)
    return sink.getvalue()


def of(
    what: str, data: bytes | str, says: str | None = None, rows: int = 0, **more: Any
) -> Manifest:
    """A CSV manifest, unless `name` says otherwise."""
    name, missing = more.pop("name", "list.csv"), more.pop("missing", 0)
    data = data.encode() if isinstance(data, str) else data
    return Manifest(
        what=what, name=name, data=data, says=says, rows=rows, missing=missing, settings=more
    )


def rows(what: str, columns: Any, says: str | None = None, rows: int = 0, **more: Any) -> Manifest:
    """A Parquet manifest."""
    return of(what, parquet(columns), says, rows, name="list.parquet", **more)


def csvs() -> Iterator[Manifest]:
    """Files of all kinds; a.jpg and b.jpg are good images beside them."""
    yield of("empty", "", "expected CSV or Parquet: the file is empty")
    yield of("header alone", "uri\n", "no image found")
    yield of("good", "uri\na.jpg\nb.jpg\n", rows=2)
    yield of("no line break at the end", "uri\na.jpg", rows=1)
    yield of("line breaks of Windows", "uri\r\na.jpg\r\nb.jpg\r\n", rows=2)
    yield of("line breaks of old Macs", "uri\ra.jpg\rb.jpg\r", rows=2)
    yield of("byte order mark", "\ufeffuri\na.jpg\n", rows=1)
    yield of("UTF-16", "uri\na.jpg\n".encode("utf-16"), r"no column 'uri'|expected CSV")
    yield of("Latin-1", "uri\nü.jpg\n".encode("latin-1"), "expected CSV or Parquet: .*UTF8")
    yield of("bytes", bytes(range(256)) * 4, "expected CSV|no column 'uri'")
    yield of("HTML", "<html><body>Not found</body></html>\n", "no column 'uri'")
    yield of("an image", b"\xff\xd8\xff\xe0" + b"\0" * 100, "expected CSV|no column 'uri'")
    yield of("packed", gzip.compress(b"uri\na.jpg\n"), rows=1, name="list.csv.gz")
    yield of(
        "half packed", gzip.compress(b"uri\na.jpg\n" * 9)[:30], "expected CSV", name="l.csv.gz"
    )
    yield of("packed in name alone", "uri\na.jpg\n", "expected CSV or Parquet", name="l.csv.gz")


def columns() -> Iterator[Manifest]:
    """CSV files whose columns or values are not what they should be."""
    yield of("semicolons", "uri;title\na.jpg;x\n", "no column 'uri'; .*uri;title")
    yield of("tabs", "uri\ttitle\na.jpg\tx\n", "no column 'uri'")
    yield of(
        "a column too many",
        "uri\na.jpg,1\n",
        "expected CSV or Parquet: .*Expected 1 columns, got 2",
    )
    yield of(
        "a quote that never ends",
        'uri,title\na.jpg,"x\nb.jpg,y\n',
        "expected CSV or Parquet: line 3: .* is a quote not closed",
        metadata=["title"],
    )
    lost = 'uri,title\na.jpg,"x\nb.jpg,y\nc.jpg,"z"\nd.jpg,w\n'
    yield of("a quote that the next one closes", lost, "is a quote not closed", metadata=["title"])
    inches = 'uri,title\na.jpg,5" disk\nb.jpg,"two\nlines"\n'
    yield of("an inch and two lines", inches, rows=2, metadata=["title"])
    yield of("an inch", 'uri,title\na.jpg,5" disk\nb.jpg,y\n', rows=2, metadata=["title"])
    yield of("other name of the column", "url\na.jpg\n", "no column 'uri'; .*'url'")
    yield of("the column twice", "uri,uri\na.jpg,b.jpg\n", "2 columns are called 'uri'")
    yield of("metadata twice", "uri,t,t\na.jpg,1,2\n", "2 columns are called 't'", metadata=["t"])
    yield of(
        "an id twice",
        "uri,id\na.jpg,1\nb.jpg,1\n",
        "image_id '1' stands more than once",
        image_id="id",
    )
    yield of("a uri twice", "uri\na.jpg\na.jpg\n", "'a.jpg' stands more than once")
    yield of("no uri", "uri,id\na.jpg,1\n,2\n", r"row 1 \(from 0\) has no uri", image_id="id")
    yield of("no id", "uri,id\na.jpg,\n", r"row 0 \(from 0\) has no image_id", image_id="id")
    yield of(
        "a split that is none",
        "uri,part\na.jpg,tset\n",
        "split 'tset' is none of",
        split_column="part",
    )
    yield of(
        "a class that is none",
        "uri,class\na.jpg,Sea\n",
        "'Sea' .* none of the classes; did you mean 'sea'",
        truth="class",
    )
    yield of(
        "no such metadata",
        "uri,title\na.jpg,x\n",
        "no column 'tilte'; did you mean 'title'",
        metadata=["tilte"],
    )
    yield of(
        "line breaks in a title",
        'uri,title\na.jpg,"two\nlines, ""quoted"""\nb.jpg,x\n',
        rows=2,
        metadata=["title"],
    )
    yield of(
        "titles of all kinds",
        "uri,title\na.jpg,\u202e\U0001f30a\u0000\nb.jpg,\n",
        rows=2,
        metadata=["title"],
    )
    yield of(
        "numbers, then a word", "uri,year\na.jpg,1999\nb.jpg,unknown\n", rows=2, metadata=["year"]
    )


def uris() -> Iterator[Manifest]:
    """Uris of all kinds: those of nothing become rows with the error `missing`, or so."""
    yield of("spaces", "uri\n   \n", rows=1, missing=1)
    yield of(
        "an escape", "uri\n../../../../../../etc/passwd\n", "in row 0 .* leads out of the table"
    )
    yield of("a way there and back", "uri\nsub/../a.jpg\n./b.jpg\n", rows=2)
    for scheme in ("file", "local", "zip", "ftp", "data", "memory", "simplecache::https"):
        uri = f"{scheme}:///dev/zero"
        yield of(f"a uri of {scheme}", f"uri\na.jpg\n{uri}\n", f"'{uri}' in row 1 .*unknown scheme")
    yield of("what only looks like the web", "uri\nhttp://[\nhttps://\n", rows=2, missing=2)
    yield of("the system's files", "uri\n/etc/passwd\n/proc/self/environ\n", rows=2, missing=2)
    yield of(
        "devices that never end", "uri\n/dev/zero\n/dev/urandom\n/dev/stdin\n", rows=3, missing=3
    )
    yield of("a pipe that nobody fills", "uri\npipe\n", rows=1, missing=1)
    yield of("folders", "uri\n.\n/\nsub/..\n", rows=3, missing=3)
    yield of("a null byte", "uri\na\0.jpg\n", rows=1, missing=1)
    yield of("a long name", f"uri\n{'x' * 8_000}.jpg\n", rows=1, missing=1)
    yield of("a longer name", f"uri\n{'x' * 100_000}.jpg\n", "in row 0 .* has 100,004 bytes")
    yield of("non-ASCII names", "uri\n\u00fcber \U0001f30a.jpg\n", rows=1, missing=1)
    yield of(
        "an unknown scheme",
        "uri\na.jpg\nhtpp://host/a.jpg\n",
        "htpp://host/a.jpg' in row 1 .*unknown scheme; did you mean 'http'",
    )
    yield of("no scheme", "uri\n://a.jpg\n", "unknown scheme")
    yield of("a scheme alone", "uri\ns3://\n", rows=1, missing=1)
    yield of("data in the uri", 'uri\n"data:image/png;base64,iVBORw0KGgo="\n', rows=1, missing=1)
    yield of("a range", "uri\na.jpg#bytes=0-9\n", rows=1, missing=1)
    yield of("a range of nothing", "uri\na.jpg#bytes=9-1\n", rows=1, missing=1)
    yield of("a range far beyond", f"uri\na.jpg#bytes=0-{10**30}\n", rows=1, missing=1)


def parquets() -> Iterator[Manifest]:
    """Parquet files."""
    good = {"uri": ["a.jpg", "b.jpg"]}
    yield rows("good", good, rows=2)
    yield rows("no columns", pa.table({}), "no column 'uri'")
    yield rows("no rows", {"uri": pa.array([], pa.string())}, "no image found")
    yield of("cut off", parquet(good)[:-20], "expected CSV or Parquet", name="list.parquet")
    yield of("a CSV by that name", "uri\na.jpg\n", "expected CSV or Parquet", name="list.parquet")
    yield rows("large strings", {"uri": pa.array(["a.jpg"], pa.large_string())}, rows=1)
    yield rows("a dictionary", {"uri": pa.array(["a.jpg"]).dictionary_encode()}, rows=1)
    yield rows("numbers for uris", {"uri": [1, 2]}, rows=2, missing=2)
    yield rows("bytes that are text", {"uri": [b"a.jpg"]}, rows=1)
    yield rows(
        "bytes that are none", {"uri": [b"\xff\xfe"]}, "'uri' is of type binary; expected string"
    )
    yield rows(
        "lists for uris",
        {"uri": [["a.jpg"], ["b.jpg"]]},
        "'uri' is of type list<.*; expected string",
    )
    yield rows(
        "structs for ids",
        good | {"id": [{"x": 1}, {"x": 2}]},
        "'id' is of type struct<",
        image_id="id",
    )
    yield rows("nulls for uris", {"uri": pa.nulls(2)}, r"row 0 \(from 0\) has no uri")
    yield rows("nulls for titles", good | {"title": pa.nulls(2)}, rows=2, metadata=["title"])
    yield rows("structs travel along", good | {"at": [{"x": 1}, None]}, rows=2, metadata=["at"])
    yield rows("vectors travel along", good | {"v": [[0.5], [1.5]]}, rows=2, metadata=["v"])


def manifests() -> list[Manifest]:
    """All of them."""
    makers: tuple[Callable[[], Iterator[Manifest]], ...] = (csvs, columns, uris, parquets)
    return [manifest for make in makers for manifest in make()]
