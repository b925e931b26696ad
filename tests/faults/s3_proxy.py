"""A proxy before a real S3 server that changes what passes: a store with faults of our choosing."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Request:
    """A request on its way; a fault may change it, or answer in the server's stead.

    Attributes:
        method: GET, PUT, ...
        path: Path and query.
        headers: Headers by name.
    """

    method: str
    path: str
    headers: dict[str, str]


Answer = tuple[int, bytes]
"""Status and body."""

Fault = Callable[[Request], Answer | None]
"""Changes a request, or answers it; None passes it on."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fault: Fault
    server_address: str

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers))
        answer = self.fault(request)
        if answer is not None:
            self._answer(answer[0], {}, answer[1])
            return
        connection = http.client.HTTPConnection(self.server_address, timeout=60)
        connection.request(request.method, request.path, body, request.headers)
        response = connection.getresponse()
        self._answer(response.status, dict(response.getheaders()), response.read())
        connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        # Of a HEAD the length is that of the body which a GET would have.
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def faulty(endpoint: str, fault: Fault) -> Iterator[str]:
    """Serve what an S3 server serves, but for the faults; give the proxy's endpoint."""
    address = urlsplit(endpoint).netloc
    own = {"fault": staticmethod(fault), "server_address": address}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), own))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def stripped(endpoint: str) -> "contextmanager[str]":  # type: ignore[valid-type]
    """Serve a store that takes no notice of conditions, as some stand-ins for S3 do."""

    def strip(request: Request) -> None:
        request.headers.pop("If-None-Match", None)

    return faulty(endpoint, strip)  # type: ignore[return-value]
