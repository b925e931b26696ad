"""Functions of the user's vote by columns, or by rows as Snorkel's do."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snorkel.labeling import LabelingFunction, PandasLFApplier, labeling_function

from tests.projects import Change, assert_refused, put
from wslabel.labeling.applier import LFApplier
from wslabel.labeling.python import PythonLF, is_snorkel

Seen = Mapping[str, np.ndarray]
titles = st.lists(st.text("abc beach tree"), min_size=1, max_size=20)


def by_title(seen: Seen) -> np.ndarray:
    return np.array([1 if "beach" in t else -1 for t in seen["title"]])


@labeling_function()
def mentions_beach(x: SimpleNamespace) -> int:
    return 1 if "beach" in x.title else -1


@labeling_function(resources={"longest": 8})
def is_short(x: SimpleNamespace, longest: int) -> int:
    return 0 if len(x.title) < longest else -1


def batch(texts: list[str]) -> dict[str, np.ndarray]:
    ids = np.array([f"i{n}" for n in range(len(texts))], object)
    return {"image_id": ids, "title": np.array(texts, object), "secret.x": np.zeros(len(texts))}


def test_a_batch_function_sees_its_columns_and_the_image_ids_only() -> None:
    seen: list[list[str]] = []

    def look(columns: Seen) -> np.ndarray:
        seen.append(sorted(columns))
        return np.zeros(len(columns["image_id"]), int)

    PythonLF(name="lf", function=look, columns={"title": "title"}, by_row=False)(batch(["a", "b"]))
    assert seen == [["image_id", "title"]]


def test_columns_go_by_the_names_that_the_function_knows() -> None:
    function = PythonLF(
        name="lf",
        function=lambda c: c["color_mean"],
        columns={"color_mean": "color.mean"},
        by_row=False,
    )
    assert function.reads == ("color.mean",)
    votes = function({"image_id": np.array(["a"], object), "color.mean": np.array([4])})
    assert votes.tolist() == [4]


def test_a_batch_function_votes() -> None:
    function = PythonLF(name="lf", function=by_title, columns={"title": "title"}, by_row=False)
    assert function(batch(["a beach", "a tree"])).tolist() == [1, -1]


@settings(deadline=None, max_examples=40)
@given(titles)
def test_snorkels_functions_vote_as_snorkel_applies_them(texts: list[str]) -> None:
    functions: list[LabelingFunction] = [mentions_beach, is_short]
    theirs = PandasLFApplier(functions).apply(pd.DataFrame({"title": texts}), progress_bar=False)
    functions = [
        PythonLF(name=f.name, function=f, columns={"title": "title"}, by_row=True)
        for f in functions
    ]
    assert np.array_equal(LFApplier(functions, 2)(batch(texts)), theirs)


def test_no_images_give_no_votes() -> None:
    for function, by_row in ((mentions_beach, True), (by_title, False)):
        votes = PythonLF(name="lf", function=function, columns={"title": "title"}, by_row=by_row)(
            batch([])
        )
        assert votes.shape == (0,)


@pytest.mark.parametrize("odd", [0.7, 1.0, None, "1", np.float32(1)])
def test_a_row_function_that_gives_no_integer_is_refused(odd: object) -> None:
    function = PythonLF(
        name="lf", function=lambda row: odd, columns={"title": "title"}, by_row=True
    )
    with pytest.raises(TypeError):
        function(batch(["a"]))


def test_snorkels_functions_are_told_from_others() -> None:
    assert is_snorkel(mentions_beach)
    assert not is_snorkel(by_title)


WRONG: dict[str, tuple[Change, list[str]]] = {
    "a python function of no feature": (
        put("labeling_functions", 4, "features", value=["colr"]),
        [": labeling_functions[4] (mine).features: ", "named 'colr'", "did you mean 'color'?"],
    ),
    "truth for a python function": (
        put("labeling_functions", 4, "metadata", value=["truth"]),
        [": labeling_functions[4] (mine).metadata: ", "must not see 'truth'"],
    ),
    "a function without a module": (
        put("labeling_functions", 4, "function", value="vote"),
        [": labeling_functions[4] (mine).function: expected 'module:function', found 'vote'"],
    ),
    "a module that is not there": (
        put("labeling_functions", 4, "function", value="no_such_module:vote"),
        [": labeling_functions[4] (mine).function: ", "no module 'no_such_module'"],
    ),
    "a module without a name": (
        put("labeling_functions", 4, "function", value="..x:vote"),
        [": labeling_functions[4] (mine).function: ", "no module '..x'"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
