"""What pydantic refuses, as sentences: file, key, what was found, the nearest valid choice."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from wslabel.config.base import Settings, shortened
from wslabel.config.registry import Kind, Registry
from wslabel.errors import ConfigError, nearest
from wslabel.screen import visible

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], values: Mapping[str, Any], file: Path, folder: Path) -> Model:
    """Turn what a file says into its settings.

    Args:
        model: Settings class.
        values: What the file says.
        file: File that says so, for the message.
        folder: Folder that relative paths are relative to.

    Raises:
        ConfigError: One sentence per problem.
    """
    try:
        return model.model_validate(values, context={"folder": folder})
    except ValidationError as error:
        raise ConfigError("\n".join(map(visible, _sentences(file, values, error)))) from None


def chosen(registry: Registry[Kind], values: object, *, key: str, file: Path, folder: Path) -> Kind:
    """Turn what is said of one thing into the settings of its kind, of any registered by now.

    Args:
        registry: Kinds that there are.
        values: Keys and values, one of which names the kind.
        key: What the thing is, for the message.
        file: Where it is said, for the message.
        folder: Folder that relative paths are relative to.

    Raises:
        ConfigError: One sentence per problem.
    """
    fields: dict[str, Any] = {key: (Annotated[Settings, registry], ...)}
    section = create_model("Section", __base__=Settings, **fields)
    kind: Kind = getattr(validated(section, {key: values}, file, folder), key)
    return kind


def _sentences(file: Path, values: object, error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        is_missing = problem["type"] == "missing"
        key = _key(values, problem["loc"], is_missing=is_missing)
        text = problem["msg"]
        if is_missing:
            text = "this key is missing"
        elif problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
            text = _choice(problem)
        elif problem["type"] != "refused":
            text = f"{text[0].lower()}{text[1:]}, found {shortened(problem['input'])}"
        yield f"{file}: {key}{': ' if key else ''}{text}"


def _choice(problem: ErrorDetails) -> str:
    context = problem["ctx"]
    key = context["discriminator"].strip("'")
    if problem["type"] == "union_tag_not_found":
        return f"the key '{key}' is missing"
    valid = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
    tag = context["tag"]
    choice = "" if tag == "None" else f" '{tag}'"
    return f"unknown {key}{choice}; {nearest(tag, valid)}"


def _key(values: object, location: tuple[int | str, ...], *, is_missing: bool) -> str:
    """Spell a location as it stands in the file; pydantic adds the tags of unions to it."""
    key = ""
    for index, part in enumerate(location):
        is_wanted = is_missing and index == len(location) - 1
        if isinstance(values, list) and isinstance(part, int):
            values, key = values[part] if part < len(values) else None, f"{key}[{part}]"
            if isinstance(values, dict) and isinstance(values.get("name"), str):
                key += f" ({values['name']})"
        elif isinstance(values, dict) and (part in values or is_wanted):
            values, key = values.get(part), f"{key}.{part}" if key else str(part)
    return key
