"""Python votes: a function of the user's over columns, or a Snorkel LabelingFunction over rows."""

import hashlib
import importlib
import importlib.util
import inspect
import operator
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import numpy as np
from pydantic import ValidationInfo, field_validator

from wslabel.config.base import refuse
from wslabel.config.fingerprint import named
from wslabel.config.paths import folder_of
from wslabel.errors import ConfigError, nearest
from wslabel.labeling.labeling_function import (
    Batch,
    LabelingFunction,
    LFConfig,
    LFContext,
    MadeFunction,
    Outline,
    Votes,
    metadata_column,
)


class PythonLFConfig(LFConfig):
    """Votes by a function of yours over a batch of columns, or by a Snorkel LabelingFunction.

    Attributes:
        name: Name of the function and of its column in the votes table.
        kind: python.
        function: module:function; the module lies beside the project file or is installed.
        features: Features whose columns it sees, as FEATURE_COLUMN.
        metadata: Metadata columns of the images that it sees.
    """

    kind: Literal["python"]
    function: str
    features: list[str] = []
    metadata: list[str] = []

    @field_validator("metadata")
    @classmethod
    def _no_truth(cls, value: list[str]) -> list[str]:
        return [metadata_column(name) for name in value]

    @field_validator("function")
    @classmethod
    def _is_there(cls, value: str, info: ValidationInfo) -> str:
        folder = folder_of(info)
        if folder is None:
            return value
        if not re.fullmatch(r"[\w.]+:\w+", value):
            raise refuse(f"expected 'module:function', found '{value}'")
        module, _, function = value.partition(":")
        beside = folder / f"{module.replace('.', '/')}.py"
        if beside.is_file():
            return f"{beside}:{function}"
        package = module.partition(".")[0]
        if not package or importlib.util.find_spec(package) is None:
            raise refuse(f"there is no module '{module}', neither '{beside}' nor installed")
        return value

    def check(self, where: str, outline: Outline) -> None:
        """Refuse unknown features."""
        for name in self.features:
            outline.check_feature(f"{where}.features", name)

    def make(self, context: LFContext) -> MadeFunction:
        """Import the function; the source of its module is part of what decides the votes."""
        function, module, source = load(self.name, self.function)
        columns = {name: name for name in self.metadata}
        for feature in self.features:
            columns |= {f"{feature}_{c}": f"{feature}.{c}" for c in context.facts(feature).columns}
        made = PythonLF(
            name=self.name, function=function, columns=columns, by_row=is_snorkel(function)
        )
        plain = named(self, {"function"})
        return MadeFunction(made, [plain, self.function.rpartition(":")[2], source], module)


@dataclass(frozen=True, kw_only=True)
class PythonLF(LabelingFunction):
    """Votes by calling a function of the user's.

    Attributes:
        name: Name of the labeling function.
        function: What is called.
        columns: Column of the batch by the name under which the function sees it.
        by_row: Whether it is called per image, with the columns as attributes.
    """

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
        votes = [self.function(SimpleNamespace(**{n: v[i] for n, v in seen.items()})) for i in rows]
        # Unlike a conversion by numpy, `index` refuses fractions instead of cutting them off.
        return np.array([operator.index(vote) for vote in votes], np.int64)


def load(name: str, path: str) -> tuple[Callable[..., Any], ModuleType, str]:
    """Import a function; also give its module and the hash of the module's source.

    Args:
        name: Name of the labeling function, for the message.
        path: `module:function`, or `file.py:function`.

    Raises:
        ConfigError: There is no such module or function.
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
            # The user's own code, which no file of ours could import by its name.
            return importlib.import_module(where)
        path = Path(where)
        # A name of its own: a file called statistics.py must not stand in for Python's.
        own = f"wslabel_user_{path.stem}_{hashlib.sha256(where.encode()).hexdigest()[:12]}"
        spec = importlib.util.spec_from_file_location(own, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[own] = module
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"labeling function {name}: cannot import '{where}': {reason}") from error
    return module


def is_snorkel(function: object) -> bool:
    """Tell a Snorkel LabelingFunction by its class, without importing Snorkel and torch."""
    return any(base.__module__.startswith("snorkel.labeling") for base in type(function).__mro__)
