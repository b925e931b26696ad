"""Functions of the user's vote by columns, or by rows as Snorkel's do."""

import copy
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snorkel.labeling import LabelingFunction, PandasLFApplier, labeling_function

from tests.projects import Change, assert_refused, put
from wslabel.errors import ConfigError, LabelingFunctionError
from wslabel.labeling.applier import LFApplier
from wslabel.labeling.labeling_function import FeatureFacts
from wslabel.labeling.python import PythonLF, PythonLFConfig, is_snorkel

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
    ids = np.array([f"sea/i{n}" for n in range(len(texts))], object)
    return {"image_id": ids, "title": np.array(texts, object), "secret.x": np.zeros(len(texts))}


def by_id(columns: Seen) -> np.ndarray:
    return np.array([1 if "sea" in image_id else 0 for image_id in columns["image_id"]])


@labeling_function()
def by_own_id(x: SimpleNamespace) -> int:
    return 1 if "sea" in x.image_id else 0


def test_a_batch_function_sees_its_columns_only() -> None:
    seen: list[list[str]] = []

    def look(columns: Seen) -> np.ndarray:
        seen.append(sorted(columns))
        return np.zeros(len(columns["title"]), int)

    PythonLF(name="lf", function=look, columns={"title": "title"}, by_row=False)(batch(["a", "b"]))
    assert seen == [["title"]]


@pytest.mark.parametrize(("function", "by_row"), [(by_id, False), (by_own_id, True)])
def test_an_id_which_may_hold_the_class_is_withheld(function: Any, by_row: bool) -> None:
    lf = PythonLF(name="lf", function=function, columns={"title": "title"}, by_row=by_row)
    expected = "lf raised on image 'sea/i0': Unseen: it sees no column 'image_id'; valid: 'title'"
    with pytest.raises(LabelingFunctionError, match=expected):
        LFApplier([lf], 2)(batch(["a", "b"]))


def test_a_function_may_still_ask_whether_it_sees_a_column() -> None:
    def careful(columns: Seen) -> np.ndarray:
        try:
            return np.asarray(columns["titel"])
        except KeyError:
            return np.asarray([columns.get("titel", 1), "titel" in columns])

    def careful_row(x: SimpleNamespace) -> int:
        assert copy.deepcopy(x) == pickle.loads(pickle.dumps(x)) == x
        return 1 if hasattr(x, "titel") else 0

    seen = batch(["a", "b"])
    columns = {"title": "title"}
    votes = PythonLF(name="lf", function=careful, columns=columns, by_row=False)(seen)
    assert votes.tolist() == [1, 0]
    assert PythonLF(name="lf", function=careful_row, columns=columns, by_row=True)(
        seen
    ).tolist() == [0, 0]


def test_two_columns_under_one_name_are_refused(tmp_path: Path) -> None:
    """A function would see one of them and take it for the other."""
    (tmp_path / "own.py").write_text("def vote(columns): ...\n")
    settings = PythonLFConfig(
        name="lf",
        kind="python",
        function=f"{tmp_path / 'own.py'}:vote",
        features=["color"],
        metadata=["color_mean"],
    )
    facts = FeatureFacts(kind="color", columns=("mean",))
    context: Any = SimpleNamespace(facts=lambda _: facts)
    expected = "lf: would see 'color_mean' and 'color.mean' both as 'color_mean'; rename one"
    with pytest.raises(ConfigError, match=expected):
        settings.make(context)


def test_columns_go_by_the_names_that_the_function_knows() -> None:
    function = PythonLF(
        name="lf",
        function=lambda c: c["color_mean"],
        columns={"color_mean": "color.mean"},
        by_row=False,
    )
    assert function.reads == ("color.mean",)
    votes = function({"color.mean": np.array([4])})
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
    "a function that sees nothing": (
        put("labeling_functions", 4, "features", value=[]),
        [": labeling_functions[4] (mine): a function that sees nothing can tell nothing; name fea"],
    ),
    "a column that the images do not have": (
        put("labeling_functions", 4, "metadata", value=["title"]),
        [": labeling_functions[4] (mine).metadata: the images have no metadata column 'title'"],
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
