"""What all kinds of labeling functions share: their names, their classes, what they may see."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic_core import PydanticCustomError

from tests.projects import Change, assert_refused, put
from wslabel.labeling.labeling_function import (
    Batch,
    FeatureFacts,
    LabelingFunction,
    Outline,
    Votes,
    metadata_column,
    present_and_absent,
)
from wslabel.schema import ABSTAIN, RESERVED

OUTLINE = Outline(["jungle", "sea"], {"net": FeatureFacts(kind="classifier")})


@dataclass(frozen=True)
class Silent(LabelingFunction):
    name: str

    @property
    def reads(self) -> tuple[str, ...]:
        return ("title",)

    def __call__(self, batch: Batch) -> Votes:
        return np.full(len(batch["title"]), ABSTAIN, np.int8)


WRONG: dict[str, tuple[Change, list[str]]] = {
    "a feature that is not there": (
        put("labeling_functions", 1, "feature", value="nett"),
        [": labeling_functions[1] (words).feature: ", "named 'nett'", "did you mean 'net'?"],
    ),
    "a feature of another kind": (
        put("labeling_functions", 1, "feature", value="clip"),
        [
            ": labeling_functions[1] (words).feature: ",
            "no classifier feature named 'clip'",
            "'net'",
        ],
    ),
    "a name that is no column": (
        put("labeling_functions", 0, "name", value="a b"),
        [": labeling_functions[0] (a b).name: 'a b' cannot name a column"],
    ),
    "a name of ours": (
        put("labeling_functions", 0, "name", value="truth"),
        [": labeling_functions[0] (truth).name: 'truth' cannot name a column"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)


def test_a_function_goes_by_no_number_unless_it_says_so() -> None:
    function = Silent("silent")
    assert (function.thresholds, function.embedding, function.score_range) == ({}, None, None)
    with pytest.raises(NotImplementedError, match="silent goes by no number"):
        function.scores({})


def test_an_outline_refuses_what_the_project_does_not_have() -> None:
    OUTLINE.check_class("here", "sea")
    OUTLINE.check_feature("here", "net", "classifier")
    OUTLINE.check_absent("here", "sea")
    with pytest.raises(PydanticCustomError, match="here: unknown class 'see'; did you mean 'sea'"):
        OUTLINE.check_class("here", "see")
    with pytest.raises(PydanticCustomError, match="here: there is no clip feature named 'net'"):
        OUTLINE.check_feature("here", "net", "clip")
    OUTLINE.check_metadata("here", "title")
    titled = Outline(["jungle", "sea"], metadata=["title"])
    titled.check_metadata("here", "title")
    with pytest.raises(PydanticCustomError, match="here: the images have no metadata column 'ti"):
        titled.check_metadata("here", "titel")
    many = Outline(["jungle", "sea", "city"])
    with pytest.raises(PydanticCustomError, match="two classes, found 3"):
        many.check_absent("here", "sea")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_columns_of_ours_are_not_metadata(name: str) -> None:
    assert metadata_column("title") == "title"
    with pytest.raises(PydanticCustomError, match=f"must not see '{name}'"):
        metadata_column(name)


@pytest.mark.parametrize(
    ("classes", "invert", "votes"),
    [
        (["jungle", "sea"], False, (1, 0)),
        (["jungle", "sea"], True, (0, 1)),
        (["jungle", "sea", "city"], False, (1, ABSTAIN)),
        (["jungle", "sea", "city"], True, (ABSTAIN, 1)),
    ],
)
def test_absent_is_the_other_one_of_two_classes_and_says_nothing_among_many(
    classes: list[str], invert: bool, votes: tuple[int, int]
) -> None:
    assert present_and_absent(SimpleNamespace(classes=classes), "sea", invert=invert) == votes
