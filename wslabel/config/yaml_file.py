"""YAML files of keys and values, read strictly; the door to PyYAML."""

import copy
import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from wslabel.errors import ConfigError, nearest
from wslabel.screen import visible


def changed(file: Path, raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a file would say with some keys changed; members of lists go by their `name`.

    Raises:
        ConfigError: there is no such place.
    """
    made: dict[str, Any] = copy.deepcopy(dict(raw))
    for key, value in changes.items():
        inside: Any = made
        *path, last = key.split(".")
        for part in path:
            if isinstance(inside, list):
                names = {str(item.get("name")): item for item in inside if isinstance(item, dict)}
                if part not in names:
                    raise ConfigError(f"{file}: {key}: no '{part}'; {nearest(part, names)}")
                inside = names[part]
            elif isinstance(inside, dict):
                inside[part] = {} if inside.get(part) is None else inside[part]
                inside = inside[part]
            else:
                raise ConfigError(f"{file}: {key}: '{part}' stands in no section")
        if not isinstance(inside, dict):
            raise ConfigError(f"{file}: {key}: '{last}' stands in no section")
        inside[last] = value
    return made


def dump(raw: Mapping[str, Any]) -> str:
    """Write keys and values as YAML, in their order."""
    return str(yaml.safe_dump(dict(raw), sort_keys=False, allow_unicode=True))


def quoted(text: str) -> str:
    r"""Write a text as YAML on one line, whatever is in it.

    >>> print(quoted("yes"), quoted("a: #1\nb"), quoted("海"))
    "yes" "a: #1\nb" "海"
    """
    is_plain = visible(text) == text
    made = yaml.safe_dump(text, default_style='"', width=math.inf, allow_unicode=is_plain)
    return str(made).rstrip("\n")


_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What PyYAML raises: its own errors, and others from dates, numbers and tags that are none."""


class _Strict(yaml.SafeLoader):
    """YAML without silent surprises: a key written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.MarkedYAMLError(problem=f"line {line}: key '{key}' is written twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read(file: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values.

    Raises:
        ConfigError: there is none, or it is something else.
    """
    if not file.is_file():
        siblings = [p.name for p in file.parent.glob("*.y*ml")]
        raise ConfigError(f"{file}: there is no such project file; {nearest(file.name, siblings)}")
    try:
        raw = yaml.load(file.read_text(encoding="utf-8"), _Strict)
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{file}: this is no valid YAML: {reason}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{file}: expected keys and values, found {type(raw).__name__}")
    return raw
