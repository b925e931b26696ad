"""Python votes: a function of the user's over columns, or a Snorkel LabelingFunction over rows."""

import importlib.util
import inspect
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, NoReturn, Self

import numpy as np
from pydantic import ValidationInfo, field_validator, model_validator

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
from wslabel.labeling.user_code import FunctionSource, LoadedFunction, find, load


class PythonLFConfig(LFConfig):
    """Votes by a function of yours over a batch of columns, or by a Snorkel LabelingFunction.

    It sees what `features` and `metadata` name and nothing else.

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

    @model_validator(mode="after")
    def _sees_something(self) -> Self:
        if not self.features and not self.metadata:
            raise refuse("a function that sees nothing can tell nothing; name features or metadata")
        return self

    def check(self, where: str, outline: Outline) -> None:
        """Refuse unknown features and metadata columns."""
        for name in self.features:
            outline.check_feature(f"{where}.features", name)
        for name in self.metadata:
            outline.check_metadata(f"{where}.metadata", name)

    def make(self, context: LFContext) -> MadeFunction:
        """Find the function; its source, and what it imports, decide the votes. Nothing is run."""
        source = find(self.name, self.function)
        made = UserLF(name=self.name, source=source, columns=self._columns(context))
        plain = [named(self, {"function"}), self.function.rpartition(":")[2], source.digest]
        return MadeFunction(made, plain)

    def _columns(self, context: LFContext) -> dict[str, str]:
        """Give each column that it sees by the name under which it sees it."""
        columns: dict[str, str] = {}
        seen = [(name, name) for name in dict.fromkeys(self.metadata)]
        for feature in dict.fromkeys(self.features):
            seen += [(f"{feature}_{c}", f"{feature}.{c}") for c in context.facts(feature).columns]
        for name, column in seen:
            if name in columns:
                raise ConfigError(
                    f"labeling function {self.name}: would see '{columns[name]}' and '{column}' "
                    f"both as '{name}'; rename one of them"
                )
            columns[name] = column
        return columns


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
        seen = SeenColumns({name: batch[column] for name, column in self.columns.items()})
        if not self.by_row:
            return np.asarray(self.function(seen))
        rows = zip(*seen.values(), strict=True)
        votes = [self.function(SeenImage(**dict(zip(seen, row, strict=True)))) for row in rows]
        # Unlike a conversion by numpy, `index` refuses fractions instead of cutting them off.
        return np.array([operator.index(vote) for vote in votes], np.int64)


@dataclass(frozen=True, kw_only=True)
class UserLF(LabelingFunction):
    """Votes by a function of the user's that is imported when its votes are first asked for.

    Attributes:
        name: Name of the labeling function.
        source: Where the function is.
        columns: Column of the batch by the name under which the function sees it.
    """

    name: str
    source: FunctionSource
    columns: Mapping[str, str]

    @cached_property
    def _loaded(self) -> LoadedFunction:
        loaded = load(self.source)
        _refuse_other_arguments(self.name, loaded.function)
        return loaded

    @cached_property
    def _voting(self) -> PythonLF:
        function = self._loaded.function
        by_row = is_snorkel(function)
        return PythonLF(name=self.name, function=function, columns=self.columns, by_row=by_row)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to workers as the function itself: its file is not on their machines."""
        return _same, (self._voting,)

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that the config gives it."""
        return tuple(self.columns.values())

    @property
    def modules(self) -> tuple[ModuleType, ...]:
        """Import its module, and those of the user's own that it imports."""
        return self._loaded.modules

    def __call__(self, batch: Batch) -> Votes:
        """Vote on a batch."""
        return self._voting(batch)


def _same(function: PythonLF) -> PythonLF:
    return function


class Unseen(KeyError, AttributeError):
    """A function asks for a column that its settings do not name."""

    def __str__(self) -> str:
        """Say it without the quotes of a KeyError."""
        return str(self.args[0])


def _refuse_unseen(name: str, seen: Mapping[str, object]) -> NoReturn:
    choice = nearest(name, seen)
    raise Unseen(f"it sees no column '{name}'; {choice}; `features` and `metadata` name more")


class SeenColumns(dict[str, np.ndarray]):
    """A batch as functions over columns see it."""

    def __missing__(self, name: str) -> NoReturn:
        """Name the nearest column."""
        _refuse_unseen(name, self)


class SeenImage(SimpleNamespace):
    """An image as functions over rows see it."""

    def __getattr__(self, name: str) -> NoReturn:
        """Name the nearest column."""
        _refuse_unseen(name, vars(self))


def _refuse_other_arguments(name: str, function: Callable[..., Any]) -> None:
    """Refuse a function that can never be called with one batch or image."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # of a function in C, which tells nothing
    try:
        signature.bind({})
    except TypeError as error:
        raise ConfigError(
            f"labeling function {name}: expected a function of one argument, found "
            f"{function.__name__}{signature}: {error}"
        ) from None


def is_snorkel(function: object) -> bool:
    """Tell a Snorkel LabelingFunction by its class, without importing Snorkel and torch."""
    return any(base.__module__.startswith("snorkel.labeling") for base in type(function).__mro__)
