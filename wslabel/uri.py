"""What may be told of a uri: all but what lets anybody who reads it fetch the object.

A presigned uri carries its signature in the query. It is needed to fetch, so the manifest keeps it;
ids of images, messages, pages and exports have the uri without. Nobody knows all names that servers
give to what lets one in, so a long value of any other name is told by its hash.
"""

import hashlib
import re
from urllib.parse import unquote_plus

_WEB = re.compile(r"(?:\S*::)?(?:https?|ftps?|sftp)://", re.IGNORECASE)
_SLASHED = r"[^/?#@\[]*:(?!\d*(?:[/?#]|$))[^@]*@"
"""A user and a password with a slash in it: what follows the colon is no port."""
_WEB_USER = re.compile(rf"(?<=://)(?:[^/?#]*@|{_SLASHED})")
_USER = re.compile(rf"^([^/?#]*?://)(?:[^/?#@]*:[^/?#]*@|{_SLASHED})")
_IN_TEXT = re.compile(
    r"[A-Za-z][\w+.-]*(?:::[A-Za-z][\w+.-]*)*://(?:[^\s'\"<>\\]|['\"](?=[\w%&=]))+"
)
"""A uri in a text; a quote is part of it where what follows is no end of one."""

_PARAMETERS = re.compile(r"([&;]?)((?:[^&;]|;(?![^&;=]*=))+)")

_HARMLESS = re.compile(r".{0,15}|~[0-9a-f]{16}|.*\.(?:avif|bmp|gif|jpe?g|jp2|png|tiff?|webp)", re.I)
"""Values that can hardly be keys: short ones, those told already, and names of images."""

SIGNING = (
    "x-amz-",
    "x-goog-",
    "x-oss-",
    "x-cos-",
    "x-obs-",
    "x-ms-",
    "x-tos-",
    "x-bce-",
    "q-",  # Tencent's
    "__",  # Akamai's
)
"""How the names of parameters begin that clouds sign requests with."""

SECRETS = frozenset(
    {
        "signature",
        "sig",
        "sign",
        "hmac",
        "hdnea",
        "hdnts",
        "token",
        "access_token",
        "auth_token",
        "auth_key",
        "session",
        "sessionid",
        "session_id",
        "sid",
        "id_token",
        "auth",
        "authorization",
        "jwt",
        "apikey",
        "api_key",
        "api-key",
        "access_key",
        "accesskey",
        "password",
        "passwd",
        "pwd",
        "secret",
        "client_secret",
        "credential",
        "security-token",
        "sas",
        "subscription-key",
        "code",
        "key",
    }
)
"""Names of parameters that let whoever knows their values in."""

BESIDE_A_SIGNATURE = frozenset(
    {
        "expires",
        "exp",
        "e",
        "policy",
        "key-pair-id",
        "awsaccesskeyid",
        "googleaccessid",
        "ossaccesskeyid",
        "se",
        "sp",
        "sv",
        "sr",
        "st",
        "spr",
        "sip",
        "ss",
        "srt",
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
    }
)
"""Names of parameters that belong to a signature where there is one, and change with it."""


def shown(uri: str) -> str:
    """Give a uri of the web without user, password and signature; any other without a password.

    >>> shown("https://user:pw@host/a.jpg?size=2&Expires=17&Signature=abc#part")
    'https://host/a.jpg?size=2#part'
    >>> shown("s3://bucket/a?Signature=b.jpg")
    's3://bucket/a?Signature=b.jpg'
    """
    if not _WEB.match(uri):
        return _USER.sub(r"\1", uri)
    whole, mark, fragment = _WEB_USER.sub("", uri).partition("#")
    address, _, query = whole.partition("?")
    return f"{address}{_unsigned('?', query)}{_unsigned(mark, fragment)}"


def hushed(text: str) -> str:
    """Give a text, such as what a library raised, with every uri in it as it may be shown.

    >>> hushed("Cannot connect to http://user:pw@host:80/a?sig=b [refused]")
    'Cannot connect to http://host:80/a [refused]'
    """
    return _IN_TEXT.sub(lambda found: shown(found[0]), text) if "://" in text else text


def _unsigned(mark: str, query: str) -> str:
    """Give parameters, and the mark before them, without those that belong to a signature."""
    parts = _PARAMETERS.findall(query)
    names = [_name(part) for _, part in parts]
    hidden = {name for name in names if name in SECRETS or name.startswith(SIGNING)}
    if hidden:
        hidden |= BESIDE_A_SIGNATURE
    kept = [
        f"{joint}{_harmless(part)}"
        for (joint, part), name in zip(parts, names, strict=True)
        if name not in hidden
    ]
    return f"{mark}{''.join(kept).lstrip('&;')}" if kept else ""


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0]).partition("[")[0].strip().lower()


def _harmless(part: str) -> str:
    """Give a parameter, and its value only where it can hardly be a key."""
    name, mark, value = part.rpartition("=")
    if _HARMLESS.fullmatch(value):
        return part
    return f"{name}{mark}~{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
