"""Whoever reads a uri can tell the object, and not fetch it."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.uri import BESIDE_A_SIGNATURE, SECRETS, hushed, shown

AMAZON = (
    "https://b.s3.amazonaws.com/a%20b.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=HUSH"
    "&X-Amz-Date=20261125T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=HUSH"
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (AMAZON, "https://b.s3.amazonaws.com/a%20b.jpg"),
        ("https://h/a?AWSAccessKeyId=HUSH&Expires=1&Signature=HUSH", "https://h/a"),
        ("https://h/a?sv=1&st=2&se=3&sr=b&sp=r&sig=HUSH%3D", "https://h/a"),
        ("HTTPS://h/a?GoogleAccessId=HUSH&Expires=1&Signature=HUSH", "HTTPS://h/a"),
        ("https://h/a?Policy=HUSH&Signature=HUSH&Key-Pair-Id=HUSH", "https://h/a"),
        ("http://me:HUSH@h:80/a.jpg?w=2", "http://h:80/a.jpg?w=2"),
        ("ftp://me:HUSH@h/a.jpg", "ftp://h/a.jpg"),
        ("simplecache::https://h/a?token=HUSH&id=7", "simplecache::https://h/a?id=7"),
        ("http://h/a?%73ig=HUSH#bytes=1-2", "http://h/a#bytes=1-2"),
        ("http://h/a?expires=7&st=8", "http://h/a?expires=7&st=8"),  # no signature
        ("http://h/a?", "http://h/a"),
        ("https://me:HUSH@h/a@b.jpg", "https://h/a@b.jpg"),
        ("https://me:HU@SH@h/a", "https://h/a"),
        ("https://me:HU/SH@h:80/a@b", "https://h:80/a@b"),
        ("https://h:80/a@b", "https://h:80/a@b"),
        ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
        ("https://h/a#id=7&access_token=HUSH", "https://h/a#id=7"),
        ("zip://x::https://me:HUSH@h/a?sig=HUSH", "zip://h/a"),
        (
            "https://h/a?q-sign-algorithm=sha1&q-ak=HUSH&q-sign-time=1;2&q-signature=HUSH",
            "https://h/a",
        ),
        ("https://h/a?auth_key=1700000000-0-0-HUSH", "https://h/a"),
        (
            "https://h/a?X-Tos-Algorithm=HMAC&X-Tos-Credential=HUSH&X-Tos-Signature=HUSH",
            "https://h/a",
        ),
        ("https://h/a?x-bce-signature=HUSH", "https://h/a"),
        ("https://h/a?__token__=exp=1~hmac=HUSH", "https://h/a"),
        ("https://h/a?a=1;sig=HUSH&b=2", "https://h/a?a=1&b=2"),
        ("https://h/a?sig=HUSH;b=2", "https://h/a?b=2"),
        ("https://h/a?se=1&sig[]=HUSH", "https://h/a"),
        ("https://h/a?e=1&sign=HUSH", "https://h/a"),
        ("https://h/a?code=HUSH", "https://h/a"),
        ("https://h/a?md5=HUSH567890123456", "https://h/a?md5=~a1a758bff42d3629"),
        ("https://h/a?HUSH567890123456", "https://h/a?~a1a758bff42d3629"),
        ("https://h/a?path=photos/summer/beach.JPG", "https://h/a?path=photos/summer/beach.JPG"),
        ("s3://KEY:HU/SH@bucket/a@b:c.jpg", "s3://bucket/a@b:c.jpg"),
        ("s3://bucket/a:b@c.jpg", "s3://bucket/a:b@c.jpg"),
        ("az://container@account/a", "az://container@account/a"),
        ("s3://bucket/a@b?sig=c.jpg", "s3://bucket/a@b?sig=c.jpg"),
        ("/photos/a?sig=b.jpg", "/photos/a?sig=b.jpg"),
        ("a b#c?.jpg", "a b#c?.jpg"),
    ],
)
def test_a_uri_is_shown_without_what_lets_one_in(uri: str, expected: str) -> None:
    assert shown(uri) == expected


NAMES = st.sampled_from([*SECRETS, *BESIDE_A_SIGNATURE, "X-Amz-Signature", "x-goog-signature"])
PLAIN = st.lists(st.sampled_from(["w=1", "id=a%26b", "flag", "h="]), unique=True)
KEYS = st.text(st.characters(categories=["Lu", "Ll"], codec="ascii"), min_size=5, max_size=30)


@given(PLAIN, st.lists(st.tuples(NAMES, KEYS), min_size=1), KEYS, st.randoms())
def test_equal_objects_are_shown_alike_however_they_are_signed(
    plain: list[str], secrets: list[tuple[str, str]], key: str, random: object
) -> None:
    def signed(mark: str) -> str:
        own = [f"{quote(name)}=%%{value}{mark}" for name, value in secrets]
        return "https://host/a.jpg?" + "&".join([*plain, *own, f"Signature={key}{mark}"])

    first, second = signed("0"), signed("1")
    assert shown(first) == shown(second) == shown(shown(first))
    assert shown(first) == "https://host/a.jpg" + ("?" + "&".join(plain) if plain else "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no uri: a@b", "no uri: a@b"),
        ("GET 'http://me:HUSH@h/a?sig=HUSH': 404", "GET 'http://h/a': 404"),
        ("{'url': URL('https://h/a?id=1&token=HUSH')}", "{'url': URL('https://h/a?id=1')}"),
        ("of http://u:HUSH@h, and (ftp://u:HUSH@g)", "of http://h, and (ftp://g)"),
        ('proxy "http://me:HUSH@proxy:3128"', 'proxy "http://proxy:3128"'),
        ("to http://h/a?x='y'&sig=HUSH [no]", "to http://h/a?x='y' [no]"),
        ("s3://KEY:HU/SH@b/a failed", "s3://b/a failed"),
    ],
)
def test_a_text_is_told_with_its_uris_as_they_are_shown(text: str, expected: str) -> None:
    assert hushed(text) == hushed(hushed(text)) == expected
