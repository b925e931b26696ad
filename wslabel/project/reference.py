"""Every key of a project file and of a sweep file, as Markdown, from the settings themselves.

`make docs` writes it to `docs/configuration.md`; a test sees that it is up to date.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wslabel.config.registry import Registry
from wslabel.config.sweep import Sweep
from wslabel.project.project import Project

HEAD = """# Every key

Generated from the settings (`make docs`); a test sees that it is up to date. Relative paths are
relative to the folder of the file that names them. An unknown key, an impossible value or a missing
file is refused before any work starts.
"""

Section = type[BaseModel]


def reference() -> str:
    """Describe every key of a project file, section by section, then those of a sweep file."""
    seen: dict[Section, str] = {}
    parts = [HEAD, *_section("The project file", Project, "", seen)]
    parts += _section("The sweep file", Sweep, "", seen)
    return "\n".join(parts).rstrip() + "\n"


def described(section: Section) -> dict[str, str]:
    """Give the description of each key, by its name in the file, from the docstrings.

    >>> from wslabel.config.base import S3
    >>> described(S3)["region"]
    "AWS region; null takes the environment's."
    """
    descriptions: dict[str, str] = {}
    for parent in reversed(section.__mro__):
        if parent is not BaseModel and issubclass(parent, BaseModel):
            descriptions |= _attributes(inspect.cleandoc(parent.__doc__ or ""))
    return descriptions


def _attributes(docstring: str) -> dict[str, str]:
    r"""Read the section Attributes of a docstring.

    >>> _attributes("What it is.\n\nAttributes:\n    size: Pixels of\n        a side.")
    {'size': 'Pixels of a side.'}
    """
    _, _, lines = docstring.partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", lines, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _section(title: str, section: Section, path: str, seen: dict[Section, str]) -> Iterator[str]:
    """Describe a section and, once each, the sections in it."""
    seen[section] = title
    yield f"\n{'##' if not path else '###'} {title}\n"
    yield _summary(section)
    yield "\n| key | value | default | what it is |\n|---|---|---|---|"
    descriptions = described(section)
    inner: list[tuple[str, Section]] = []
    for name, field in section.model_fields.items():
        key = field.alias or name
        sections = list(_inner(field))
        elsewhere = "".join(f", as {seen[kind]}" for _, kind in sections if kind in seen)
        value = f"{_type(field)}{elsewhere}"
        yield f"| `{key}` | {value} | {_default(field)} | {_cell(descriptions[key])} |"
        inner += [(f"{path}{key}{more}", kind) for more, kind in sections]
    for key, kind in inner:
        if kind not in seen:
            yield from _section(f"`{key}`", kind, f"{key.partition(' ')[0]}.", seen)


def _summary(section: Section) -> str:
    text = inspect.cleandoc(section.__doc__ or "").partition("Attributes:")[0]
    return "\n".join(line for line in text.strip().splitlines())


def _inner(field: FieldInfo) -> Iterator[tuple[str, Section]]:
    """Go through the sections that the value of a key may be, with what tells them apart."""
    registry = _registry(field)
    if registry is not None:
        for name in registry:
            yield f" ({registry.key}: {name})", registry[name]
        return
    for kind in _leaves(field.annotation):
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield "", kind


def _registry(field: FieldInfo) -> Registry[Any] | None:
    found = [m for m in field.metadata if isinstance(m, Registry)]
    found += [m for m in _metadata(field.annotation) if isinstance(m, Registry)]
    return found[0] if found else None


def _metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]
    for inner in get_args(annotation):
        yield from _metadata(inner)


def _leaves(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin is None or origin is Literal:
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _leaves(inner)


NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
CONTAINERS = {list: "list of {0}", dict: "{1} by {0}", tuple: "list"}


def _type(field: FieldInfo) -> str:
    registry = _registry(field)
    if registry is not None:
        kinds = f"one of the sections by {registry.key}"
        origin = get_origin(field.annotation)
        containers = {list: f"list, {kinds}", dict: f"by name, {kinds}"}
        return _cell(kinds if origin is None else containers[origin])
    return _cell(_spelled(field.annotation) + _bounds(field))


def _bounds(field: FieldInfo) -> str:
    """Spell the least and the greatest value of a number."""
    found: dict[str, Any] = {}
    for constraint in (*field.metadata, *_metadata(field.annotation)):
        for name in ("ge", "gt", "le", "lt"):
            for one in getattr(constraint, "metadata", None) or [constraint]:
                if getattr(one, name, None) is not None:
                    found[name] = getattr(one, name)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return "".join(f", {signs[name]} {value:g}" for name, value in found.items())


def _spelled(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _spelled(inner[0])
    if origin is Literal:
        return ", ".join(str(choice) for choice in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_spelled(one) for one in inner))
    if origin is tuple:
        return f"list of {len(inner)}"
    if origin in (list, dict):
        return CONTAINERS[origin].format(*(_spelled(one) for one in inner))
    if inspect.isclass(origin):
        return f"{_spelled(inner[-1])} by name"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "section"
    return NAMES.get(annotation, "anything")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "the section's own"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return _cell(text if len(text) <= 40 else text[:37] + "...") or "empty"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
