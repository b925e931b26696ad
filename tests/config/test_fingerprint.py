"""A fingerprint is of values alone: not of their order in a file, nor of the machine."""

from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.config.base import Settings
from wslabel.config.fingerprint import fingerprint, named
from wslabel.label_model.majority import MajorityConfig
from wslabel.label_model.snorkel import SnorkelConfig

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def reorder(value: object) -> object:
    """Write every mapping's keys the other way round."""
    if isinstance(value, dict):
        return {key: reorder(value[key]) for key in reversed(value)}
    return [reorder(item) for item in value] if isinstance(value, list) else value


@given(PLAIN)
def test_a_fingerprint_ignores_the_order_of_keys(value: object) -> None:
    assert fingerprint(value) == fingerprint(reorder(value))


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=4), st.data())
def test_a_fingerprint_sees_every_value(value: dict[str, int], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    assert fingerprint(value) != fingerprint(value | {key: value[key] + 1})
    assert fingerprint(value) != fingerprint({k: v for k, v in value.items() if k != key})


@given(st.lists(st.integers(), min_size=2, max_size=4, unique=True))
def test_a_fingerprint_sees_the_order_of_lists(value: list[int]) -> None:
    assert fingerprint(value) != fingerprint(value[::-1])
    assert fingerprint(*value) != fingerprint(*value[::-1])


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    assert fingerprint({"b": 2, "a": [1, None, "é"]}, "x", 0.1) == "053b431523a6"


class Crop(Settings):
    kind: Literal["crop"] = "crop"
    size: int = 3


class Grown(Crop):
    margin: int = 0
    crops: tuple[Crop, ...] = ()


class Changed(Grown):
    version: ClassVar[int] = 2


@given(st.integers(0, 5))
def test_a_key_that_came_later_names_nothing_while_it_is_at_its_default(size: int) -> None:
    assert fingerprint(Grown(size=size)) == fingerprint(Crop(size=size))
    assert fingerprint(Grown(size=size, margin=1)) != fingerprint(Crop(size=size))


def test_a_default_that_is_written_out_names_nothing() -> None:
    assert named(Grown(size=3, margin=0)) == {"version": 1, "kind": "crop"}
    assert named(Grown(size=4), exclude={"size"}) == {"version": 1, "kind": "crop"}


def test_a_version_is_part_of_a_name_however_deep_it_lies() -> None:
    assert fingerprint(Changed()) != fingerprint(Grown())
    assert fingerprint(Grown(crops=(Crop(),))) != fingerprint(Grown(crops=(Changed(),)))


def test_a_kind_is_part_of_a_name_though_it_is_left_out() -> None:
    assert fingerprint(SnorkelConfig()) != fingerprint(MajorityConfig(kind="majority"))
    assert named(SnorkelConfig())["kind"] == "snorkel"


def test_a_fingerprint_of_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        fingerprint({1, 2})
