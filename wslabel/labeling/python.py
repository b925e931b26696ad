"""Python votes: a function of the user's over columns, or a Snorkel LabelingFunction over rows."""

import hashlib
import importlib
import importlib.util
import inspect
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from wslabel.errors import ConfigError, nearest
from wslabel.labeling.batch import Batch, Votes


@dataclass(frozen=True)
class PythonVoter:
    """Votes by calling a function; `columns` maps the names it sees to columns of the batch."""

    name: str
    function: Callable[..., Any]
    columns: Mapping[str, str]
    by_row: bool

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that the config gives it."""
        return tuple(self.columns.values())

    def __call__(self, batch: Batch) -> Votes:
        """Vote on a batch, by columns or by rows as the function wants it."""
        seen = {name: batch[column] for name, column in self.columns.items()}
        seen["image_id"] = batch["image_id"]
        if not self.by_row:
            return np.asarray(self.function(seen))
        rows = range(len(batch["image_id"]))
        found = [self.function(SimpleNamespace(**{n: v[i] for n, v in seen.items()})) for i in rows]
        # Unlike a conversion by numpy, `index` refuses fractions instead of cutting them off.
        return np.array([operator.index(vote) for vote in found], np.int64)


def load(name: str, path: str) -> tuple[Callable[..., Any], ModuleType, str]:
    """Import a function; also give its module and the hash of the module's source.

    Args:
        name: of the labeling function, for the message.
        path: `module:function`, or `file.py:function`.

    Raises:
        ConfigError: there is no such module or function.
    """
    where, _, attribute = path.rpartition(":")
    module = _module(name, where)
    public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError(
            f"labeling function {name}: {where} has no function '{attribute}'; "
            f"{nearest(attribute, public)}"
        )
    source = inspect.getsource(module)
    return function, module, hashlib.sha256(source.encode()).hexdigest()


def _module(name: str, where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"labeling function {name}: cannot import '{where}': {reason}") from error
    return module


def is_snorkel(function: object) -> bool:
    """Tell a Snorkel LabelingFunction by its class, without importing Snorkel and torch."""
    return any(base.__module__.startswith("snorkel.labeling") for base in type(function).__mro__)
