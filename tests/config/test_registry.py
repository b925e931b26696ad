"""A field takes any kind that is registered when the schema of its model is built."""

from pathlib import Path
from typing import Annotated, Literal

import pytest

from wslabel.config.base import Settings
from wslabel.config.problems import validated
from wslabel.config.registry import Registry
from wslabel.errors import ConfigError


class Shape(Settings):
    kind: str


class Square(Shape):
    kind: Literal["square"]
    side: int


class Circle(Shape):
    kind: Literal["circle"]
    radius: int


SHAPES: Registry[Shape] = Registry("kind", Square)


class Drawing(Settings):
    shapes: list[Annotated[Shape, SHAPES]]


def drawing(*shapes: dict[str, object]) -> Drawing:
    return validated(Drawing, {"shapes": list(shapes)}, Path("d.yaml"), Path())


def test_kinds_are_found_by_their_names() -> None:
    assert list(SHAPES) == ["square"]
    assert SHAPES["square"] is Square
    assert "circle" not in SHAPES


def test_a_field_takes_the_kind_that_the_key_names() -> None:
    (square,) = drawing({"kind": "square", "side": 3}).shapes
    assert isinstance(square, Square)
    assert square.side == 3
    with pytest.raises(ConfigError, match=r"^d\.yaml: shapes\[0\]: unknown kind 'circle'; valid"):
        drawing({"kind": "circle", "radius": 2})
    with pytest.raises(ConfigError, match=r"shapes\[0\]\.side: this key is missing"):
        drawing({"kind": "square"})


def test_a_kind_that_is_added_counts_once_its_model_is_rebuilt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SHAPES, "_kinds", dict(SHAPES._kinds))
    SHAPES.add(Circle)
    assert list(SHAPES) == ["square", "circle"]

    class Poster(Settings):
        shapes: list[Annotated[Shape, SHAPES]]

    values = {"shapes": [{"kind": "circle", "radius": 2}, {"kind": "square", "side": 1}]}
    circle, square = validated(Poster, values, Path("p.yaml"), Path()).shapes
    assert (type(circle), type(square)) == (Circle, Square)


def test_a_value_is_written_with_all_keys_of_its_kind() -> None:
    shapes = drawing({"kind": "square", "side": 3}).model_dump(mode="json")["shapes"]
    assert shapes == [{"kind": "square", "side": 3}]


def test_two_kinds_of_one_name_and_a_kind_without_one_are_refused() -> None:
    class Other(Shape):
        kind: Literal["square"]

    with pytest.raises(ConfigError, match=r"there is a kind 'square' already: Square"):
        SHAPES.add(Other)
    with pytest.raises(ConfigError, match=r"Shape\.kind: expected a Literal that names the kind"):
        SHAPES.add(Shape)
    assert list(SHAPES) == ["square"]


def test_a_class_that_is_defined_again_takes_the_place_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a cell of a notebook that runs twice."""
    monkeypatch.setattr(SHAPES, "_kinds", dict(SHAPES._kinds))
    again = type("Square", (Square,), {"__module__": __name__, "__qualname__": "Square"})
    SHAPES.add(again)
    assert SHAPES["square"] is again
