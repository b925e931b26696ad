"""A result as plain values for programs: all rows of its tables, with numbers as numbers."""

import re
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

from wslabel.report.cells import plain
from wslabel.report.presentation import Column, Presentation, Table

PLAIN = (str, int, float, bool, dict, list, tuple, type(None))


@runtime_checkable
class Stored(Protocol):
    """Something that knows itself as plain values."""

    def to_json(self) -> dict[str, object]:
        """Give it as plain values."""
        ...


class Result(Protocol):
    """What a stage or an experiment gives back: a dataclass with the name of the stage."""

    stage: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@runtime_checkable
class Presented(Protocol):
    """A result that has something to show."""

    def presentation(self) -> Presentation:
        """Lay out what it shows."""
        ...


def as_json(result: Result) -> dict[str, object]:
    """Give a result's own plain fields and, where it has something to show, all of its tables."""
    own = {field.name: getattr(result, field.name) for field in fields(result)}
    values = {name: _value(value) for name, value in own.items() if _is_told(value)}
    shown = presented(result.presentation()) if isinstance(result, Presented) else {}
    return {"stage": result.stage} | values | shown


def _is_told(value: object) -> bool:
    return isinstance(value, (*PLAIN, Stored))


def _value(value: object) -> object:
    return value.to_json() if isinstance(value, Stored) else plain(value)


def presented(presentation: Presentation) -> dict[str, object]:
    """Give the tables of a presentation by section and title, each as a list of rows.

    Rows that people are not shown are here too.
    """
    return {
        _key(section.title): {_key(table.title): _rows(table) for table in section.tables}
        for section in presentation.sections
    }


def _rows(table: Table) -> list[Mapping[str, object]]:
    keys = [_column_key(column) for column in table.columns]
    return [dict(zip(keys, map(plain, row), strict=True)) for row in table.rows]


def _column_key(column: Column) -> str:
    return column.key or _key(column.name)


def _key(title: str) -> str:
    """Turn a title into a key.

    >>> _key("Classes: label model (test)"), _key("ROC-AUC"), _key("training.labels")
    ('classes_label_model_test', 'roc_auc', 'training.labels')
    """
    return re.sub(r"[^\w.]+", "_", title.lower()).strip("_")
