"""YAML to typed settings, strictly; and fingerprints, the names of what settings make.

Relative paths in a project file are relative to the folder of that file.
"""

import copy
import hashlib
import importlib.util
import json
import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from wslabel.errors import ConfigError, nearest
from wslabel.settings import FEATURE_KINDS, Categories, Classifier, Project, Sweep, Training
from wslabel.settings.base import Settings
from wslabel.settings.images import Images


def fingerprint(*parts: object) -> str:
    """Hash what determines a table into twelve hexadecimal digits.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, default=_plain, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no canonical form")


_ON_HUB = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
"""A data set, or a user and a data set."""


_NO_FILE = (None, "DEFAULT", "pretrained")
"""Starts of a network that are found elsewhere than at a path."""


def is_remote(uri: str) -> bool:
    """Tell a uri with a scheme from a path."""
    return "://" in uri


def load(path: str | Path) -> Project:
    """Read a project file and refuse, before any work, what cannot be.

    Raises:
        ConfigError: one sentence per problem: file, key, what was found, nearest valid choice.
    """
    return build(Path(path), read(Path(path)))


def load_sweep(path: str | Path) -> tuple[Sweep, Path, dict[str, Any]]:
    """Read a sweep file; give it with the path of its project and what that file says.

    Raises:
        ConfigError: one sentence per problem.
    """
    file = Path(path)
    raw = read(file)
    try:
        sweep = Sweep.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(file, raw, error))) from None
    project = file.parent / sweep.project
    # A trial is one network; what repeats or compares networks would name those it has not.
    kept = {k: v for k, v in read(project).items() if k not in ("self_training", "comparison")}
    return sweep, project, kept


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


def build(file: Path, raw: Mapping[str, Any]) -> Project:
    """Turn what a project file says into its settings.

    Raises:
        ConfigError: one sentence per problem.
    """
    return _build(file, copy.deepcopy(dict(raw)))


def _build(file: Path, raw: dict[str, Any]) -> Project:
    if "features" in raw and not isinstance(raw["features"], dict):
        raise ConfigError(
            f"{file}: features: expected features by name, found {_short(raw['features'])}"
        )
    raw["features"] = {
        name: {} if feature is None else feature
        for name, feature in (raw.get("features") or {}).items()
    }
    for name, feature in (raw.get("features") or {}).items():
        if isinstance(feature, dict) and "kind" not in feature:
            feature["kind"] = name if name in FEATURE_KINDS else None
    try:
        project = Project.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(file, raw, error))) from None
    return _resolve(file, project)


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


def _sentences(file: Path, raw: dict[str, Any], error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        is_missing = problem["type"] == "missing"
        key = _key(raw, problem["loc"], is_missing=is_missing)
        text = problem["msg"]
        if is_missing:
            text = "this key is missing"
        elif problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
            text = _choice(problem)
        elif problem["type"] != "refused":
            text = f"{text[0].lower()}{text[1:]}, found {_short(problem['input'])}"
        yield f"{file}: {key}{': ' if key else ''}{text}"


def _choice(problem: Any) -> str:
    context = problem["ctx"]
    key = context["discriminator"].strip("'")
    if problem["type"] == "union_tag_not_found":
        return f"the key '{key}' is missing"
    valid = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
    found = context["tag"]
    choice = "" if found == "None" else f" '{found}'"
    return f"unknown {key}{choice}; {nearest(found, valid)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _key(raw: object, loc: tuple[int | str, ...], *, is_missing: bool) -> str:
    """Spell a location as it stands in the file; pydantic adds the tags of unions to it."""
    key = ""
    for index, part in enumerate(loc):
        is_wanted = is_missing and index == len(loc) - 1
        if isinstance(raw, list) and isinstance(part, int):
            raw, key = raw[part] if part < len(raw) else None, f"{key}[{part}]"
        elif isinstance(raw, dict) and (part in raw or is_wanted):
            raw, key = raw.get(part), f"{key}.{part}" if key else str(part)
    return key


def _finders(file: Path, base: Path) -> tuple[Any, Any]:
    """Give what makes the paths of a file absolute, and what also sees that they are there."""

    def place(key: str, path: str) -> str:
        if path.startswith("s3://"):
            return path
        if is_remote(path):
            raise ConfigError(f"{file}: {key}: expected a path or s3://..., found {_short(path)}")
        try:
            full = (base / path).resolve()
            full.exists()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{file}: {key}: {_short(path)} is no path: {reason}") from None
        return str(full)

    def existing(key: str, path: str) -> str:
        full = place(key, path)
        if not is_remote(full) and not Path(full).exists():
            choices = [p.name for p in Path(full).parent.glob("*")]
            raise ConfigError(
                f"{file}: {key}: there is no file '{full}'; {nearest(Path(full).name, choices)}"
            )
        return full

    return place, existing


def _resolve(file: Path, project: Project) -> Project:
    """Make the paths of a project absolute and see that what it names is there."""
    place, existing = _finders(file, file.resolve().parent)
    images = _resolve_images(project.images, place, existing)
    features = {
        name: _resolve_feature(f"features.{name}", feature, existing)
        for name, feature in project.features.items()
    }
    votes = [
        _resolve_vote(file, f"labeling_functions[{index}] ({vote.name})", vote, existing)
        for index, vote in enumerate(project.labeling_functions)
    ]
    return project.model_copy(
        update={
            "workspace": place("workspace", project.workspace),
            "images": images,
            "features": features,
            "labeling_functions": votes,
            "training": _resolve_training(project.training, existing),
            "pretraining": _resolve_start("pretraining", project.pretraining, existing),
        }
    )


def absolute(base: Path, path: str) -> str:
    """Make a path absolute; a uri stays as it is."""
    return path if is_remote(path) else str((base / path).resolve())


class _Images(Settings):
    images: Images


def images_of(source: str) -> Images:
    """Turn what names images into a source: a folder or prefix, a table, or a YAML file.

    Raises:
        ConfigError: there is nothing of that name, or the YAML file is no source.
    """
    if source.endswith((".yaml", ".yml")):
        file, raw = Path(source), read(Path(source))
        raw = {"images": raw.get("images")}
    else:
        is_table = source.endswith((".csv", ".csv.gz", ".parquet"))
        file = Path("--images")
        raw = {"images": {"source": "table" if is_table else "folder", "path": source}}
    try:
        images = _Images.model_validate(raw).images
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(file, raw, error))) from None
    base = file.resolve().parent if source.endswith((".yaml", ".yml")) else Path.cwd()
    found: Images = _resolve_images(images, *_finders(file, base))
    return found


def _resolve_images(images: Any, place: Any, existing: Any) -> Any:
    if images.source == "openimages":
        return _resolve_openimages(images, place, existing)
    if images.source == "huggingface":
        # What could be a name on the hub, and is no folder beside the project file, is one.
        path = place("images.dataset", images.dataset)
        if _ON_HUB.fullmatch(images.dataset) and not Path(path).exists():
            return images
        return images.model_copy(update={"dataset": existing("images.dataset", images.dataset)})
    find = place if images.source == "generated" else existing
    return images.model_copy(update={"path": find("images.path", images.path)})


def _resolve_openimages(images: Any, place: Any, existing: Any) -> Any:
    def file(key: str, uri: str) -> str:
        return uri if is_remote(uri) else existing(f"images.{key}", uri)

    update: dict[str, object] = {"images": place("images.images", images.images)}
    for key in ("class_descriptions", "trainable_classes"):
        if getattr(images, key) is not None:
            update[key] = file(key, getattr(images, key))
    for key in ("labels", "image_metadata"):
        uris = getattr(images, key).items()
        update[key] = {split: file(f"{key}.{split}", uri) for split, uri in uris}
    return images.model_copy(update=update)


def _resolve_feature(key: str, feature: Any, existing: Any) -> Any:
    update: dict[str, object] = {}
    if feature.kind == "classifier" and feature.weights != "DEFAULT":
        update["weights"] = existing(f"{key}.weights", feature.weights)
    if feature.kind == "clip":
        for name in ("model", "weights"):
            value = getattr(feature, name)
            if "/" in value or value.endswith((".json", ".pt", ".safetensors")):
                update[name] = existing(f"{key}.{name}", value)
    if isinstance(feature, Classifier) and isinstance(feature.categories, Categories):
        names = existing(f"{key}.categories.file", feature.categories.file)
        update["categories"] = feature.categories.model_copy(update={"file": names})
    return feature.model_copy(update=update)


def _resolve_training(training: Training | None, existing: Any) -> Training | None:
    if training is None:
        return None
    training = _resolve_start("training", training, existing)
    variants = {
        name: changes
        if changes.get("weights") in _NO_FILE
        else changes
        | {"weights": existing(f"training.variants.{name}.weights", changes["weights"])}
        for name, changes in training.variants.items()
    }
    return training.model_copy(update={"variants": variants})


def _resolve_start(key: str, how: Any, existing: Any) -> Any:
    if how is None or how.weights in _NO_FILE:
        return how
    return how.model_copy(update={"weights": existing(f"{key}.weights", how.weights)})


def _resolve_vote(file: Path, key: str, vote: Any, existing: Any) -> Any:
    for name in ("word_vectors", "image"):
        if getattr(vote, name, None) is not None:
            path = existing(f"{key}.{name}", getattr(vote, name))
            vote = vote.model_copy(update={name: path})
    if vote.kind != "python":
        return vote
    module, _, function = vote.function.partition(":")
    beside = file.resolve().parent / f"{module.replace('.', '/')}.py"
    if beside.is_file():
        return vote.model_copy(update={"function": f"{beside}:{function}"})
    package = module.partition(".")[0]
    if not package or importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"{file}: {key}.function: there is no module '{module}', "
            f"neither '{beside}' nor installed"
        )
    return vote
