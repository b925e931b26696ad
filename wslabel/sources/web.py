"""The web: a uri to an answer, with an eye on whom that asks; the door to aiohttp.

An address is looked at where it is connected to, so it matters neither what a name meant before nor
how a uri spells it. Bodies are taken as they are served: what is packed is never inflated here. No
proxy and no password of the environment is used, and no cookie is kept.
"""

import asyncio
import email.utils
import errno
import socket
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import yarl

from wslabel.sources.allowed import ALLOW, Allowed, Refused, is_public
from wslabel.storage.failures import reason_of
from wslabel.storage.s3 import CONNECT_S, READ_S

CONNECTIONS = 256
"""Requests at a time; threads ask for fewer."""

HOPS = 10
"""Most answers that lead elsewhere."""

MOVED = frozenset({301, 302, 303, 307, 308})
DENIED = frozenset({401, 402, 403, 407, 451})
BUSY = frozenset({408, 425, 429})
"""HTTP statuses that lead elsewhere, by which a server refuses, and that another try mends."""


NOT_PUBLIC = "is not public"


class Busy(OSError):
    """A server that answered, and may answer better later.

    Attributes:
        retry_after_s: How long it asks to be left alone.
    """

    def __init__(self, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Web:
    """Asks servers; its methods run in one event loop."""

    def __init__(self, allowed: Allowed) -> None:
        """Ask nobody yet.

        Args:
            allowed: What may be asked, and what of that may have a private address.
        """
        self._allowed = allowed
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    @asynccontextmanager
    async def ask(
        self, uri: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a uri, follow where that leads, and give an answer that is good.

        Raises:
            OSError: There is none: FileNotFoundError, PermissionError, or Busy where it may come.
        """
        answer: aiohttp.ClientResponse | None = None
        try:
            answer = await self._answer(yarl.URL(uri), headers)
            _refuse_bad(answer)
            yield answer
        except aiohttp.ClientError as error:
            raise _as_os_error(error) from None
        except ValueError as error:  # yarl's, of a uri that is none
            raise FileNotFoundError(type(error).__name__) from None
        finally:
            if answer is not None and not answer.content.at_eof():
                answer.close()  # a connection is used again only where its answer was read whole

    async def _answer(self, url: yarl.URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        for _ in range(HOPS + 1):
            answer = await self._hop(url, headers)
            where = answer.headers.get("Location")
            if answer.status not in MOVED or where is None:
                return answer
            answer.close()
            url = _next(url, where)
        raise FileNotFoundError("redirects lead nowhere")

    async def _hop(self, url: yarl.URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if url.scheme not in ("http", "https"):
            raise Refused(f"it leads to a uri of the scheme '{url.scheme}'")
        if not self._allowed.permits(str(url)):
            raise Refused(f"it leads to {url.host}, which does not lie below what {ALLOW} names")
        session = self._session(may_be_private=self._allowed.covers(str(url)))
        headers = {"Accept-Encoding": "identity", **headers}
        return await session.get(url, headers=headers, allow_redirects=False)

    def _session(self, *, may_be_private: bool) -> aiohttp.ClientSession:
        if may_be_private not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS, socket_factory=None if may_be_private else _public_socket
            )
            session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S),
            )
            self._sessions[may_be_private] = session
            weakref.finalize(self, _close, asyncio.get_running_loop(), session)
        return self._sessions[may_be_private]


def _close(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(session.close(), loop)


def _public_socket(info: Any) -> socket.socket:
    """Make the socket for an address that is just about to be connected to, if it is public."""
    family, kind, protocol, _, address = info
    if not is_public(address[0]):
        raise PermissionError(errno.EACCES, f"its address {address[0]} {NOT_PUBLIC}")
    return socket.socket(family, kind, protocol)


def _next(url: yarl.URL, where: str) -> yarl.URL:
    """Follow a redirect; user and password go along on the same server alone."""
    target = url.join(yarl.URL(where))
    if target.host and target.user is None and target.origin() == url.origin():
        return target.with_user(url.user).with_password(url.password)
    return target


def _refuse_bad(answer: aiohttp.ClientResponse) -> None:
    status, text = answer.status, f"HTTP {answer.status}"
    if status in BUSY or status >= 500:
        raise Busy(text, _retry_after_s(answer.headers.get("Retry-After", "")))
    if not 200 <= status < 300:
        raise (PermissionError if status in DENIED else FileNotFoundError)(text)


def _as_os_error(error: aiohttp.ClientError) -> OSError:
    """Turn what aiohttp raises into an error of storage."""
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or ""
        if isinstance(error.os_error, PermissionError) and NOT_PUBLIC in reason:
            return Refused(f"{reason}; if images may be fetched from there, name it in {ALLOW}")
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return FileNotFoundError("it is no uri")
    return OSError(f"{type(error).__name__}: {reason_of(error)}")


def _retry_after_s(text: str) -> float:
    """Read the header Retry-After: seconds, or a date.

    >>> _retry_after_s("120"), _retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT"), _retry_after_s("x")
    (120.0, 0.0, 0.0)
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
