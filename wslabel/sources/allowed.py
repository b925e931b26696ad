"""Which uris may be fetched: manifests come from strangers, and the job can reach what they cannot.

Of the web only public addresses are asked, at every hop, unless the project file names where the
images are (`images.allow`); then only what lies there is fetched, whatever its address. A file
of this machine is judged once it is open, by where it lies: until then its path may lead anywhere.
"""

import ipaddress
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from wslabel.config.paths import scheme_of, unreadable
from wslabel.errors import SourceError
from wslabel.sources.opened import resolved
from wslabel.uri import shown

PART = re.compile(r"#bytes=(\d+)-(\d+)$")
"""What follows the uri of an object in the uri of a range of it."""

ALLOW = "images.allow"

PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Place = tuple[str, tuple[str, ...]]
"""Scheme and host of a uri, and the components of its path."""

PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services for a machine
        "169.254.0.0/16",  # link-local: metadata and credentials of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # Oracle's metadata, among others
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # Teredo and other protocols, which may hold an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",
    )
)
"""Networks that nobody on the internet serves images from."""

GLOBAL = ipaddress.ip_network("2000::/3")
"""All IPv6 addresses that are public, but for those of `PRIVATE`."""

NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the internet, which strangers can reach too.

    >>> is_public("8.8.8.8"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        elif ip not in GLOBAL:
            return False
    return not any(ip in network for network in PRIVATE)


class Refused(PermissionError):
    """A uri or address that is not asked; it says why."""


@dataclass(frozen=True)
class Allowed:
    """Where images may be fetched from.

    Attributes:
        prefixes: Uris and paths; what lies below one may have any address.
        only: Whether nothing else may be fetched.
        roots: Folders of this machine that no symbolic link may lead out of.
        links_elsewhere: Whether paths that are below none of these may lead through links.
    """

    prefixes: tuple[str, ...] = ()
    only: bool = False
    roots: tuple[str, ...] = ()
    links_elsewhere: bool = True

    @cached_property
    def _places(self) -> tuple[Place, ...]:
        return tuple(place for place in map(place_of, self.prefixes) if place is not None)

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        """Where the files really lie that may be read."""
        named = (*self.prefixes, *self.roots)
        return tuple(resolved(path) for path in named if scheme_of(path) is None)

    def permits(self, uri: str) -> bool:
        """Tell whether a uri may be fetched at all."""
        return not self.only or self.covers(uri)

    def covers(self, uri: str) -> bool:
        """Tell whether a uri is one of the prefixes, or lies below one.

        >>> allowed = Allowed(("https://host/a",))
        >>> [allowed.covers(f"https://host{rest}") for rest in ("/a/b.jpg", "/ab.jpg", ".evil/a")]
        [True, False, False]
        """
        place = place_of(PART.sub("", uri))
        if place is None:
            return False
        return any(place[0] == at and place[1][: len(path)] == path for at, path in self._places)

    def refusal(self, path: str, real: str) -> str:
        """Say why a file is not read that was opened; "" where it may be.

        Args:
            path: Path by which it was opened.
            real: Where it lies.
        """
        if any(_lies_below(real, folder) for folder in self._folders):
            return ""
        if self.only:
            return f"it does not lie below what {ALLOW} names"
        named = os.path.normpath(path)
        is_ours = any(_lies_below(named, os.path.normpath(root)) for root in self.roots)
        if real == path or (self.links_elsewhere and not is_ours):
            return ""
        return (
            f"a symbolic link leads to '{real}', out of the folders that the project names; "
            f"images.follow_links or {ALLOW} may let it"
        )


ANYWHERE = Allowed()
"""What is fetched where the project file does not say: paths, buckets, and the public web."""


def place_of(uri: str) -> Place | None:
    """Take a uri apart to compare it; None where what it names may lie elsewhere (`..`)."""
    scheme = scheme_of(uri)
    if scheme is None:
        return None if "\0" in uri else ("", _components(os.path.realpath(uri)))
    authority, mark, path = uri.removeprefix(f"{scheme}://").partition("/")
    components = _components(path)
    if scheme in PORTS:
        authority, components = _web(f"{scheme}://{authority}{mark}{path}")
    if not authority or any(map(_may_leave, components)):
        return None
    return f"{scheme}://{authority}", components


def _web(uri: str) -> tuple[str, tuple[str, ...]]:
    """Give host and port, and the decoded path; no host where readers may not agree on it."""
    try:
        parts = urlsplit(uri)
        port = parts.port or PORTS[parts.scheme]
    except ValueError:  # of a port, or brackets
        return "", ()
    host = (parts.hostname or "").rstrip(".")
    if not host or re.search(r"[\s\\%]", parts.netloc):
        return "", ()
    with suppress(UnicodeError):
        host = host.encode("idna").decode()
    return f"{host}:{port}", tuple(map(unquote, _components(parts.path)))


def _may_leave(component: str) -> bool:
    """Tell whether some server may take a component of a path for one that leads elsewhere.

    Many decode twice, take what follows a semicolon for a parameter, or end a name at a null byte.

    >>> [_may_leave(name) for name in ("a..b", "%252e%252e", "..;a=b", "a%2f..")]
    [False, True, True, True]
    """
    while (plain := unquote(component)) != component:
        component = plain
    names = [re.split(r"[;\0]", part)[0] for part in re.split(r"[/\\]", component)]
    return any(re.sub(r"[\0-\x20\x7f]", "", name) in (".", "..") for name in names)


def _lies_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _components(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/")) if path.strip("/") else ()


def refuse_uris(uris: pa.Array, where: str, allowed: Allowed) -> None:
    """Refuse a manifest with a uri that nothing here can read, or that may not be fetched.

    Raises:
        SourceError: Names the first such row.
    """
    schemes = pc.struct_field(pc.extract_regex(uris, r"^(?P<scheme>[^/?#]*?)://"), "scheme")
    for scheme in pc.unique(schemes.drop_null()).to_pylist():
        if reason := unreadable(scheme):
            _refuse(uris, pc.index(schemes, scheme).as_py(), where, reason)
    for row, uri in enumerate(uris.to_pylist() if allowed.only else ()):
        if uri is not None and not allowed.covers(uri):
            _refuse(uris, row, where, f"it does not lie below what {ALLOW} names")


def _refuse(uris: pa.Array, row: int, where: str, reason: str) -> None:
    uri = shown(uris[row].as_py())
    raise SourceError(f"{where}: uri '{uri}' in row {row} (from 0): {reason}")
