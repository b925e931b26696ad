"""A small HTTP server with the troubles of the web, and S3's own answers below `/xml`."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wslabel.config.base import S3
from wslabel.sources.allowed import Allowed
from wslabel.sources.fetch import Fetcher

DATA = b"\xff\xd8 not quite a JPEG \x00"


class Answers(BaseHTTPRequestHandler):
    """`/503/x` answers 503, and so on; what is `shaky` or ends early does so the first time.

    A test may set the bytes of a path, and another status.
    """

    protocol_version = "HTTP/1.1"
    asked: dict[str, int]
    data: dict[str, bytes]
    statuses: dict[str, int]
    sent: dict[str, int]
    lock = threading.Lock()

    def do_GET(self) -> None:
        with self.lock:
            self.asked[self.path] = self.asked.get(self.path, 0) + 1
        is_first = self.asked[self.path] == 1
        self.close_connection = True
        parts = self.path.split("/")
        if parts[1] == "xml":
            self.answer_as_s3(parts[2].partition("-")[0], parts[3], is_first=is_first)
        elif parts[1].isdecimal():
            self.answer(self.statuses.get(self.path, int(parts[1])))
        else:
            getattr(self, parts[1])(is_first=is_first)

    def answer_as_s3(self, kind: str, code: str, *, is_first: bool) -> None:
        if kind == "short":
            self.short(is_first=is_first)
        elif kind == "200":
            self.answer(200)
        else:
            if not kind.isdecimal():
                kind, code = "400", "InvalidBucketName"
            text = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
            self.answer(int(kind), text.encode(), {"Content-Type": "application/xml"})

    def answer(
        self, status: int, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> None:
        usual = self.data.get(self.path, DATA) if status == 200 else b""
        body = usual if body is None else body
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def shaky(self, *, is_first: bool) -> None:
        self.answer(503 if is_first else 200)

    def rest(self, *, is_first: bool) -> None:
        self.answer(429 if is_first else 200, headers={"Retry-After": "1"})

    def circle(self, *, is_first: bool) -> None:
        self.answer(302, headers={"Location": self.path})

    def short(self, *, is_first: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[: 5 if is_first else None])

    def chunks(self, *, is_first: bool) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(DATA), DATA))
        self.wfile.write(b"" if is_first else b"0\r\n\r\n")

    def hangup(self, *, is_first: bool) -> None:
        if not is_first:
            self.answer(200)

    def garbage(self, *, is_first: bool) -> None:
        if is_first:
            self.wfile.write(b"how are you?\r\n\r\n")
        else:
            self.answer(200)

    def silent(self, *, is_first: bool) -> None:
        time.sleep(1.0)

    def away(self, *, is_first: bool) -> None:
        self.answer(302, headers={"Location": self.path.partition("/away/")[2]})

    def huge(self, *, is_first: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(2**40))
        self.end_headers()
        self.sent[self.path] = 0
        time.sleep(0.5)
        with suppress(OSError):
            while True:
                self.sent[self.path] += self.wfile.write(bytes(2**16))

    def endless(self, *, is_first: bool) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.sent[self.path] = 0
        with suppress(OSError):
            while True:
                self.wfile.write(b"10000\r\n%s\r\n" % bytes(2**16))
                self.sent[self.path] += 2**16

    def log_message(self, *_: object) -> None:
        """Be quiet."""


class Server(ThreadingHTTPServer):
    """Does not print that a client went away in the middle of an answer."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Be quiet."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve on this machine, and give the address."""
    Answers.asked, Answers.data, Answers.statuses, Answers.sent = {}, {}, {}, {}
    with Server(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Trusting(Allowed):
    """Lets any server be asked, as those are that lie on this machine."""

    def covers(self, uri: str) -> bool:
        return True


def fetcher() -> Fetcher:
    """Give a fetcher that asks any server."""
    return Fetcher(S3(), Trusting())
