"""Strangers' uris lead to the public internet, or to where the project file says."""

import ipaddress
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.errors import SourceError
from wslabel.sources.allowed import Allowed, is_public, place_of, refuse_uris

PRIVATE = (
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200"),
    *("192.0.0.192", "168.63.129.16", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "100::1"),
)
PUBLIC = ("1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111",
          "::ffff:8.8.8.8", "64:ff9b::808:808")  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_only_we_can_reach_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_everybody_can_reach_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_no_more_public_than_python_says(ip: ipaddress.IPv4Address) -> None:
    if is_public(str(ip)):
        assert ip.is_global
        assert not ip.is_multicast
    assert is_public(str(ip)) == is_public(f"::ffff:{ip}")


@given(st.ip_addresses(v=6))
def test_so_is_one_of_the_new_kind(ip: ipaddress.IPv6Address) -> None:
    if is_public(str(ip)):
        assert ip.is_global or ip.ipv4_mapped is not None


@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [
        (
            "https://host",
            ["https://host/a;b/..c;d", "https://host/%2525/a..;b?x=/../",
             "https://host", "https://HOST:443/a?b#c", "https://me:pw@host./a", "https://host//a"],
            ["https://host/..;/a", "https://host/%252e%252e/a", "https://host/a/..%3bx=y/b",
             "https://host/%25252e/a", "https://host/a%252f..%252fb", "https://host/..%00/a",
             "https://host/.%09./a",
             "http://host/a", "https://host.evil/a", "https://host:8443/a", "https://hos", "//host",
             "https://host@evil/a", "https://evil\\@host/a", "https://[host/a", "https://host:x/a",
             "https://evil/https://host/a", "https:///host/a", "https://host%2eevil/a"],
        ),
        (
            "https://host/a b/",
            ["https://host/a%20b/c.jpg", "https://host/a b", "https://host/a%20b/c/d?x=../.."],
            ["https://host/a b/../c", "https://host/a%20b/%2e%2e/c", "https://host/a b/..%2fc",
             "https://host/a b/..\\c", "https://host/a bc", "https://host/"],
        ),
        (
            "s3://bucket/photos",
            ["s3://bucket/photos/a.jpg", "s3://bucket/photos/a?b#c.jpg",
             "s3://bucket/photos/a.tar#bytes=0-9"],
            ["s3://bucket/photos-of-others/a.jpg", "s3://bucket2/photos/a.jpg", "s3://photos/a.jpg",
             "s3://bucket/photos/../a", "gs://bucket/photos/a.jpg", "/bucket/photos/a.jpg", "s3://"],
        ),
        ("s3://bucket/a.tar", ["s3://bucket/a.tar#bytes=0-9"], ["s3://bucket/a.tar.gz"]),
        (
            "/photos",
            ["/photos", "/photos/a.jpg", "/photos/./b/../a.jpg", "/photos/a.tar#bytes=0-9"],
            ["/photos/../etc/passwd", "/photos2/a.jpg", "/", "photos/a.jpg", "/photos/\0"],
        ),
    ],
)  # fmt: skip
def test_a_prefix_ends_where_a_name_ends(
    prefix: str, inside: list[str], outside: list[str]
) -> None:
    allowed = Allowed((prefix,), only=True)
    assert [uri for uri in inside if not allowed.permits(uri)] == []
    assert [uri for uri in outside if allowed.permits(uri)] == []


def test_a_link_out_of_a_folder_leads_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "secret").write_text("HUSH")
    (tmp_path / "photos" / "a.jpg").symlink_to(tmp_path / "secret")
    assert not Allowed((f"{tmp_path}/photos",), only=True).permits(f"{tmp_path}/photos/a.jpg")


def test_what_a_path_led_to_lies_where_it_may(tmp_path: Path) -> None:
    photos, other = f"{tmp_path}/photos", f"{tmp_path}/other"
    Path(photos).mkdir()
    Path(f"{tmp_path}/link").symlink_to(photos)
    inside, outside = f"{photos}/a.jpg", f"{other}/a.jpg"

    def fine(allowed: Allowed, path: str, real: str) -> bool:
        return allowed.refusal(path, real) == ""

    for root in (photos, f"{photos}/", f"{tmp_path}/link"):
        strict, free = Allowed(roots=(root,), links_elsewhere=False), Allowed(roots=(root,))
        assert "images.follow_links" in strict.refusal(f"{root}/a.jpg", outside)
        assert f"'{outside}'" in free.refusal(f"{root}/a.jpg", outside)
        assert not fine(strict, f"{tmp_path}/before/a.jpg", outside)
        assert not fine(free, f"{other}/../{Path(root).name}/a.jpg", outside)
        assert fine(free, f"{tmp_path}/before/a.jpg", outside)
        for allowed in (strict, free):
            assert fine(allowed, f"{root}/a.jpg", inside)
            assert fine(allowed, outside, outside)
        only = Allowed((root,), only=True)
        assert fine(only, f"{root}/a.jpg", inside)
        assert "images.allow" in only.refusal(f"{root}/a.jpg", outside)
        assert "images.allow" in only.refusal(outside, outside)
        assert "images.allow" in only.refusal(f"{photos}2/a.jpg", f"{photos}2/a.jpg")
    assert fine(Allowed(), inside, outside)


NAMES = st.text(st.sampled_from("ab.%2fe/\\?#@: "), max_size=8)


@given(NAMES, NAMES)
def test_no_uri_is_taken_for_another_servers(host: str, path: str) -> None:
    uri = f"https://{host}/{path}"
    if Allowed(("https://b",), only=True).permits(uri):
        place = place_of(uri)
        assert place is not None
        assert place[0] == "https://b:443"
        assert ".." not in place[1]


def test_nothing_named_is_nothing_allowed() -> None:
    assert Allowed().permits("https://host/a")
    assert not Allowed().covers("https://host/a")
    assert not Allowed(only=True).permits("https://host/a")


@pytest.mark.parametrize(
    ("uri", "allowed", "says"),
    [
        ("zip://x::http://me:HUSH@host/a.zip", Allowed(), "unknown scheme"),
        ("simplecache::https://me:HUSH@host/a", Allowed(), "unknown scheme"),
        ("ftp://me:HUSH@host/a", Allowed(), "valid: 'az', 'gs', 'http', 'https', 's3'"),
        ("file:///etc/passwd", Allowed(), "named by its path alone"),
        ("gs://bucket/a.jpg", Allowed(), "gcsfs is not installed; pip install 'wslabel[gs]'"),
        ("az://bucket/a.jpg", Allowed(), "adlfs is not installed; pip install 'wslabel[az]'"),
        ("s3://other/a.jpg", Allowed(("s3://bucket",), only=True), "not lie below what images.al"),
    ],
)
def test_a_row_that_can_never_be_fetched_is_told_before_any_is(
    uri: str, allowed: Allowed, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("gcsfs", "adlfs"):
        monkeypatch.setitem(sys.modules, package, None)
    uris = pa.array([None, "s3://bucket/a.jpg", uri])
    with pytest.raises(SourceError) as caught:
        refuse_uris(uris, "list.csv", allowed)
    assert "in row 2 (from 0)" in str(caught.value)
    assert says in str(caught.value)
    assert "HUSH" not in str(caught.value)
