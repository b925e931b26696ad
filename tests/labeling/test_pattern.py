"""Patterns vote by text, and no text and no expression can make them hang."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projects import GENERATED, PATTERN, Change, assert_refused, both, put
from wslabel.labeling.pattern import PatternLF, keyword_pattern
from wslabel.schema import ABSTAIN


def matches(pattern: str, *texts: str | None) -> list[bool]:
    function = PatternLF(name="lf", column="title", pattern=pattern, vote=1)
    votes = function({"title": np.array(texts, object)})
    assert votes.dtype == np.int8
    assert set(votes.tolist()) <= {1, ABSTAIN}
    return [vote == 1 for vote in votes.tolist()]


def test_keywords_are_whole_words_in_any_case() -> None:
    texts = "At the Beach", "beachfront", "BEACH!", "sea,beach", "a-beach-a", "b each", ""
    assert matches(keyword_pattern(["beach"]), *texts) == [
        True,
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_words_of_other_alphabets_have_borders_too() -> None:
    cyrillic = "Чёрное МОРЕ", "поморец", "море"  # noqa: RUF001 - not Latin
    assert matches(keyword_pattern(["море"]), *cyrillic) == [True, False, True]
    assert matches(keyword_pattern(["été"]), "l'été", "étés") == [True, False]


def test_the_words_of_a_phrase_may_be_any_space_apart() -> None:
    texts = "high  tide", "high\ntide", "hightide", "tide high"
    assert matches(keyword_pattern(["high tide"]), *texts) == [True, True, False, False]


def test_an_image_without_text_abstains() -> None:
    assert matches("", None, "x") == [False, True]
    assert matches(keyword_pattern(["x"]), None, None) == [False, False]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1)))
def test_a_keyword_stands_for_itself_whatever_signs_it_has(words: list[str]) -> None:
    for word in words:
        assert matches(keyword_pattern(words), f"the {word} there", word) == [True, True]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$"])
def test_an_expression_that_hangs_others_takes_no_time(pattern: str) -> None:
    begun = time.perf_counter()
    assert matches(pattern, *["a" * 2000 + "!"] * 50) == [False] * 50
    assert time.perf_counter() - begun < 5.0


WRONG: dict[str, tuple[Change, list[str]]] = {
    "a pattern that matches nothing": (
        put("labeling_functions", 0, value=PATTERN | {"keywords": []}),
        [": labeling_functions[0] (title).keywords: ", "found []"],
    ),
    "an empty keyword": (
        put("labeling_functions", 0, value=PATTERN | {"keywords": ["beach", " "]}),
        [": labeling_functions[0] (title).keywords: a keyword is empty"],
    ),
    "keywords and an expression": (
        put("labeling_functions", 0, value=PATTERN | {"keywords": ["beach"], "regex": "b.*"}),
        [": labeling_functions[0] (title): give either keywords or regex"],
    ),
    "an expression that is none": (
        put("labeling_functions", 0, value=PATTERN | {"regex": "(beach"}),
        [": labeling_functions[0] (title).regex: '(beach' is no regular expression of RE2"],
    ),
    "an expression that only others know": (
        put("labeling_functions", 0, value=PATTERN | {"regex": "(?=beach)"}),
        [": labeling_functions[0] (title).regex: '(?=beach)' is no regular expression of RE2"],
    ),
    "truth for a pattern": (
        put("labeling_functions", 0, value=PATTERN | {"regex": "b.*", "column": "truth"}),
        [": labeling_functions[0] (title).column: ", "must not see 'truth'"],
    ),
    "a column of a folder, which has none": (
        put("labeling_functions", 0, value=PATTERN | {"regex": "b.*"}),
        [": labeling_functions[0] (title).column: the images have no metadata column 'title'"],
    ),
    "a column that the images do not have": (
        both(
            put("images", value=GENERATED),
            put("labeling_functions", 0, value=PATTERN | {"regex": "b.*", "column": "titel"}),
        ),
        [": labeling_functions[0] (title).column: ", "'titel'; did you mean 'title'?"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
