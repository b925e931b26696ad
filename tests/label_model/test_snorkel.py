"""Snorkel's settings are checked against the project, and what is fitted is read back as it was."""

from pathlib import Path

import numpy as np
import pytest
from pydantic_core import PydanticCustomError

from tests.projects import Change, assert_refused, put
from wslabel.label_model.parameters import Parameters
from wslabel.label_model.snorkel import SnorkelConfig
from wslabel.label_model.snorkel_fit import fit
from wslabel.label_model.summary import summarize

VOTES_NM = np.array([[0, 0, 0], [1, 1, -1], [1, 1, 0], [-1, 0, 0], [1, 1, 1]], np.int8)

WRONG: dict[str, tuple[Change, list[str]]] = {
    "a balance with a negative share": (
        put("label_model", "class_balance", value=[1.5, -0.5]),
        [": label_model.class_balance: expected shares above 0", "found [1.5, -0.5]"],
    ),
    "a balance that is none": (
        put("label_model", "class_balance", value=[0.5, 0.6]),
        [": label_model.class_balance: expected shares above 0 that add up to 1"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)


@pytest.mark.parametrize("num_functions", [1, 2])
def test_too_few_functions_are_refused_before_any_work(num_functions: int) -> None:
    told = f"snorkel needs at least 3 labeling functions, found {num_functions}; .* kind: majority"
    with pytest.raises(PydanticCustomError, match=told):
        SnorkelConfig().check(num_functions, 2)


def test_no_function_or_enough_of_them_will_do() -> None:
    SnorkelConfig().check(0, 2)
    SnorkelConfig(class_balance=[0.2, 0.3, 0.5]).check(3, 3)


def test_a_balance_of_other_classes_is_refused() -> None:
    with pytest.raises(PydanticCustomError, match=r"class_balance: expected 3 numbers, found 2"):
        SnorkelConfig(class_balance=[0.5, 0.5]).check(3, 3)


def test_all_settings_reach_the_fit_and_it_is_restored_bit_by_bit() -> None:
    settings = SnorkelConfig(
        epochs=7,
        learning_rate=0.02,
        l2=0.1,
        optimizer="adam",
        seed=5,
        class_balance=[0.4, 0.6],
    )
    summary = summarize(VOTES_NM, 2)
    fitted = settings.fit(summary, 2)
    plain = settings.model_dump(exclude={"kind"})
    assert fitted.to_json() == fit(summary, num_classes=2, **plain).to_json()
    restored = settings.restore(fitted.to_json())
    assert isinstance(restored, Parameters)
    assert restored.to_json() == fitted.to_json()
    assert np.array_equal(restored.probabilities(VOTES_NM), fitted.probabilities(VOTES_NM))
