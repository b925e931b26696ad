"""Fingerprints: the names of what settings make."""

import hashlib
import json
from collections.abc import Collection
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from wslabel.config.base import Settings


def fingerprint(*parts: object) -> str:
    """Hash what determines a table into twelve hexadecimal digits; settings count as `named`.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, default=_plain, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def named(settings: Settings, exclude: Collection[str] = ()) -> dict[str, object]:
    """Give what settings name a table by: what was set, and the version of their kind.

    A value that equals its default is not set, so a key that comes later renames nothing.

    >>> from wslabel.config.base import S3
    >>> named(S3(region="eu-west-1", anonymous=False))
    {'version': 1, 'region': 'eu-west-1'}
    """
    fields = type(settings).model_fields
    values = {name: getattr(settings, name) for name in fields if name not in exclude}
    given = {n: v for n, v in values.items() if _is_tag(fields[n]) or v != _default(fields[n])}
    return {"version": settings.version, **given}


def _is_tag(field: FieldInfo) -> bool:
    """Tell a field that names the kind, which counts where it is left out too."""
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True)


def _plain(value: object) -> object:
    if isinstance(value, Settings):
        return named(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")
