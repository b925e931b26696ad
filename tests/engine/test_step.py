"""What goes wrong in a known way becomes the result of its item; a bug is never hidden."""

from types import SimpleNamespace
from typing import NoReturn

import pytest

from wslabel.engine.step import ItemResult, guarded
from wslabel.errors import TooManyErrors, TransientStorageError, WorkLeft

ITEM = SimpleNamespace(key=7)


def raising(error: Exception) -> ItemResult:
    def action() -> NoReturn:
        raise error

    result: ItemResult = guarded(ITEM, action)
    return result


def test_what_goes_well_is_passed_on() -> None:
    assert guarded(ITEM, lambda: "prepared") == "prepared"


def test_slow_storage_leaves_the_item() -> None:
    assert raising(TransientStorageError("slow down")) == ItemResult(
        item=7, left="slow down", is_storage_failing=True
    )


def test_an_error_of_ours_is_a_failure_of_the_item() -> None:
    error = TooManyErrors("enough")
    assert raising(error) == ItemResult(item=7, failure=error)


def test_a_bug_goes_through() -> None:
    with pytest.raises(ZeroDivisionError, match="by zero"):
        raising(ZeroDivisionError("by zero"))


def test_an_item_that_is_left_for_its_own_sake_says_nothing_of_storage() -> None:
    left = ItemResult(item=7, left="2 images were not reached")
    assert raising(WorkLeft("2 images were not reached")) == left
