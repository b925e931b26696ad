"""Code of the user's own: loaded with the modules of theirs that it imports, and hashed with them.

A module is the user's own unless it is Python's, installed among the packages, or ours. What a
module imports is read from its source: who asks for a table's name runs none of it.
"""

import ast
import hashlib
import importlib
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from wslabel.errors import ConfigError, nearest

_PACKAGES = {"site-packages", "dist-packages"}
_NOT_OWN = (
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")),
    Path(__file__).resolve().parents[1],
)

_imported_sources: dict[str, str] = {}
"""Hash of the source of each of the user's modules, as it was when it was imported here."""


@dataclass(frozen=True)
class FunctionSource:
    """Where a function of the user's is, known by its content without having been run.

    Attributes:
        name: Name of the labeling function, for messages.
        path: `module:function`, or `file.py:function`.
        digest: Hash of the source of its module and of those of the user's own that it imports.
    """

    name: str
    path: str
    digest: str


@dataclass(frozen=True)
class LoadedFunction:
    """A function of the user's.

    Attributes:
        function: The function itself.
        modules: Its module and those of the user's own that it imports.
    """

    function: Callable[..., Any]
    modules: tuple[ModuleType, ...]


def find(name: str, path: str) -> FunctionSource:
    """Look a function's source up, and run none of it.

    Args:
        name: Name of the labeling function, for messages.
        path: `module:function`, or `file.py:function`.

    Raises:
        ConfigError: A source cannot be read.
    """
    where = path.rpartition(":")[0]
    with _cannot_import(name, where):
        return FunctionSource(name, path, _digest(where, _sources(where)))


def load(source: FunctionSource) -> LoadedFunction:
    """Import a function.

    Raises:
        ConfigError: There is no such module or function, or its source was changed meanwhile.
    """
    name, (where, _, attribute) = source.name, source.path.rpartition(":")
    with _cannot_import(name, where):
        sources = _sources(where)
        if _digest(where, sources) != source.digest:
            raise ConfigError(f"labeling function {name}: {where} was changed just now; run again")
        module = _imported(where, sources)
    public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError(
            f"labeling function {name}: {where} has no function '{attribute}'; "
            f"{nearest(attribute, public)}"
        )
    loaded = [sys.modules[own] for own in sources if own in sys.modules]
    return LoadedFunction(function, (module, *(m for m in loaded if m is not module)))


@contextmanager
def _cannot_import(name: str, where: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"labeling function {name}: cannot import '{where}': {reason}") from error


def _own_name(where: str) -> str:
    """Name a module so that a file called statistics.py does not stand in for Python's."""
    if not where.endswith(".py"):
        return where
    return f"wslabel_user_{Path(where).stem}_{hashlib.sha256(where.encode()).hexdigest()[:12]}"


def _sources(where: str) -> dict[str, str]:
    """Hash the sources of a module, and of those of the user's own that it imports."""
    path = Path(where)
    file = path if where.endswith(".py") else None
    files = _reached(_own_name(where), file, [*sys.path, str(path.parent)])
    return {name: hashlib.sha256(f.read_bytes()).hexdigest() for name, f in files}


def _digest(where: str, sources: Mapping[str, str]) -> str:
    """Hash all sources, the first one without its name, which says where it is."""
    own = _own_name(where) if where.endswith(".py") else None
    plain = {"" if name == own else name: source for name, source in sources.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _imported(where: str, sources: Mapping[str, str]) -> ModuleType:
    path, folder, own = Path(where), str(Path(where).parent), _own_name(where)
    for name, source in sources.items():
        if _imported_sources.get(name, source) != source:
            sys.modules.pop(name, None)  # it was changed since, as happens in a notebook
    _imported_sources.update(sources)
    if not where.endswith(".py"):
        # The user's own code, which no file of ours could import by its name.
        return importlib.import_module(where)
    spec = importlib.util.spec_from_file_location(own, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[own] = module
    sys.path.append(folder)  # the last place to look in, for the same reason
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def _reached(name: str, file: Path | None, path: list[str]) -> Iterator[tuple[str, Path]]:
    """Go through the user's own modules that a module imports, and it, each with its file."""
    waiting, seen = [(name, file or _file(name, path))], {name}
    package = name.partition(".")[0]
    while waiting:
        module, source = waiting.pop()
        if source is None:
            continue
        yield module, source
        for imported in _imports(source, module):
            if imported not in seen:
                seen.add(imported)
                found = _file(imported, path)
                if found and (_is_own(found) or imported.partition(".")[0] == package):
                    waiting.append((imported, found))


def _imports(file: Path, module: str) -> Iterator[str]:
    """Name the modules, or what might be ones, that a file imports anywhere in it."""
    is_package = file.name == "__init__.py"
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in _parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            up = module.split(".")[: len(module.split(".")) - node.level + is_package]
            base = ".".join([*(up if node.level else ()), *([node.module] if node.module else ())])
            yield from _parents(base)
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _parents(name: str) -> Iterator[str]:
    """Name a module and the packages that it is in.

    >>> list(_parents("a.b"))
    ['a', 'a.b']
    """
    parts = name.split(".") if name else []
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _file(name: str, path: list[str]) -> Path | None:
    """Find the source of a module without running any code."""
    spec: ModuleSpec | None = None
    places: list[str] | None = path
    for part in _parents(name):
        spec = PathFinder.find_spec(part, places)
        if spec is None and "." not in part:
            # Installed for editing: known to finders of its own.
            spec = importlib.util.find_spec(part) if part not in sys.modules else None
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    origin = spec.origin if spec is not None else None
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def _is_own(file: Path) -> bool:
    where = file.resolve()
    is_package = not _PACKAGES.isdisjoint(where.parts)
    return not is_package and not any(where.is_relative_to(place) for place in _NOT_OWN)
