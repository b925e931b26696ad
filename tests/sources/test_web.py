"""A server is asked where its address may be, at every hop; its answer is taken as it is served."""

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from tests.sources.web import DATA
from wslabel.config.base import S3
from wslabel.sources.allowed import Allowed
from wslabel.sources.fetch import Fetcher, Unfetchable

PACKED = gzip.compress(b"\0" * 2**25)


class Handler(BaseHTTPRequestHandler):
    """Sends on to where the query says; counts who came, with what headers."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[dict[str, str]]]

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers) | {"path": self.path})
        path, _, where = self.path.partition("?to=")
        body, headers = DATA, {"Set-Cookie": "a=b"}
        if where:
            headers["Location"] = where
        elif path == "/gzip":
            body, headers["Content-Encoding"] = PACKED, "gzip"
        self.send_response(302 if where else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def server(host: str = "127.0.0.1") -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Give an address, and what was asked there."""

    class Own(Handler):
        seen: ClassVar[list[dict[str, str]]] = []

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    with Server((host, 0), Own) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}", Own.seen
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def named() -> Iterator[tuple[str, list[dict[str, str]]]]:
    with server() as made:
        yield made


@pytest.fixture
def private() -> Iterator[tuple[str, list[dict[str, str]]]]:
    with server() as made:
        yield made


def fetched(uri: str, *prefixes: str, only: bool = False) -> bytes | str:
    """Give the bytes of a uri, or why they are denied."""
    try:
        return Fetcher(S3(), Allowed(prefixes, only=only))(uri, lambda _: 0.0)
    except Unfetchable as error:
        return f"{error.kind}: {error.reason}"


SPELLED = ("127.0.0.1", "localhost", "0x7f000001", "0.0.0.0", "[::ffff:127.0.0.1]",
           "[::ffff:7f00:1]", "me:pw@127.0.0.1")  # fmt: skip
NO_HOSTS = ("127.1", "2130706433", "017700000001", "0", "127.0.0.1.")


@pytest.mark.parametrize("host", SPELLED + NO_HOSTS)
def test_a_private_address_is_not_asked_however_it_is_spelled(
    host: str, private: tuple[str, list[dict[str, str]]]
) -> None:
    address, seen = private
    told = str(fetched(f"{address.replace('127.0.0.1', host)}/a.jpg"))
    says = "is not public; if images may be fetched from there, name it in images.allow"
    assert told.endswith(says) if host in SPELLED else told == "missing: "
    assert seen == []


def test_metadata_of_the_cloud_is_not_asked() -> None:
    told = fetched("http://169.254.169.254/latest/meta-data/iam/security-credentials/")
    assert str(told).startswith("denied: its address 169.254.169.254 is not public")


def test_a_name_is_judged_by_the_address_that_is_connected_to(
    private: tuple[str, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that meant something public when it was looked up first is asked no more than others."""
    address, seen = private
    answers = iter(["8.8.8.8", "127.0.0.1"])

    def resolved(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    port = address.rpartition(":")[2]
    assert socket.getaddrinfo("photos.example", port)[0][4][0] == "8.8.8.8"
    assert "127.0.0.1 is not public" in str(fetched(f"http://photos.example:{port}/a.jpg"))
    assert seen == []


@pytest.mark.parametrize("only", [False, True])
def test_a_redirect_to_a_private_address_is_not_followed(
    named: tuple[str, list[dict[str, str]]],
    private: tuple[str, list[dict[str, str]]],
    *,
    only: bool,
) -> None:
    uri = f"{named[0]}/a?to={private[0]}/secret"
    told = fetched(uri, named[0], only=only)
    assert ("does not lie below what images.allow names" if only else "is not public") in str(told)
    assert private[1] == []
    assert fetched(uri, named[0], private[0], only=only) == DATA


@pytest.mark.parametrize(
    "where", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,a", "s3://b/a"]
)
def test_a_redirect_leads_to_the_web_alone(
    named: tuple[str, list[dict[str, str]]], where: str
) -> None:
    assert "of the scheme" in str(fetched(f"{named[0]}/a?to={where}", named[0]))


def test_a_prefix_holds_at_every_hop(named: tuple[str, list[dict[str, str]]]) -> None:
    address = named[0]
    assert fetched(f"{address}/in/a?to=/in/b", f"{address}/in", only=True) == DATA
    for where in ("/out/b", "../out", "//127.0.0.1/in/a", "/in/%2e%2e/out"):
        told = fetched(f"{address}/in/a?to={where}", f"{address}/in", only=True)
        assert "does not lie below what images.allow names" in str(told)
    told = fetched(f"{address}/out", f"{address}/in", only=True)
    assert told == "denied: it does not lie below what images.allow names"


def test_a_password_goes_along_on_its_server_alone(
    named: tuple[str, list[dict[str, str]]], private: tuple[str, list[dict[str, str]]]
) -> None:
    address, seen = named
    mine = address.replace("//", "//me:pw@")
    for where in ("/b", f"{address}/b", f"{private[0]}/b"):
        seen.clear()
        assert fetched(f"{mine}/a?to={where}", address, private[0]) == DATA
        assert all("Authorization" in asked for asked in seen)
    assert len(private[1]) == 1
    assert "Authorization" not in private[1][0]


def test_nothing_of_the_environment_is_sent(
    named: tuple[str, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    address, seen = named
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password HUSH")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://me:HUSH@127.0.0.1:9")
    seen.clear()
    fetch = Fetcher(S3(), Allowed((address,)))
    assert [fetch(f"{address}/a"), fetch(f"{address}/b")] == [DATA, DATA]
    for asked in seen:
        assert {"Authorization", "Cookie"}.isdisjoint(asked)
        assert asked["Accept-Encoding"] == "identity"


def test_what_is_served_packed_is_not_inflated(named: tuple[str, list[dict[str, str]]]) -> None:
    assert len(PACKED) < 2**16
    with pytest.raises(Unfetchable, match=r"^not_an_image: .*: packed: gzip"):
        Fetcher(S3(), Allowed((named[0],)))(f"{named[0]}/gzip")
