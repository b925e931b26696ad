"""Patterns vote by text, and no text and no expression can make them hang."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.labeling.pattern import PatternVoter, of_keywords
from wslabel.schema import ABSTAIN


def found(pattern: str, *texts: str | None) -> list[bool]:
    voter = PatternVoter("lf", "title", pattern, 1)
    votes = voter({"title": np.array(texts, object)})
    assert votes.dtype == np.int8
    assert set(votes.tolist()) <= {1, ABSTAIN}
    return [vote == 1 for vote in votes.tolist()]


def test_keywords_are_whole_words_in_any_case() -> None:
    texts = "At the Beach", "beachfront", "BEACH!", "sea,beach", "a-beach-a", "b each", ""
    assert found(of_keywords(["beach"]), *texts) == [True, False, True, True, True, False, False]


def test_words_of_other_alphabets_have_borders_too() -> None:
    cyrillic = "Чёрное МОРЕ", "поморец", "море"  # noqa: RUF001 - not Latin
    assert found(of_keywords(["море"]), *cyrillic) == [True, False, True]
    assert found(of_keywords(["été"]), "l'été", "étés") == [True, False]


def test_the_words_of_a_phrase_may_be_any_space_apart() -> None:
    texts = "high  tide", "high\ntide", "hightide", "tide high"
    assert found(of_keywords(["high tide"]), *texts) == [True, True, False, False]


def test_an_image_without_text_abstains() -> None:
    assert found("", None, "x") == [False, True]
    assert found(of_keywords(["x"]), None, None) == [False, False]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1)))
def test_a_keyword_stands_for_itself_whatever_signs_it_has(words: list[str]) -> None:
    for word in words:
        assert found(of_keywords(words), f"the {word} there", word) == [True, True]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$"])
def test_an_expression_that_hangs_others_takes_no_time(pattern: str) -> None:
    begun = time.perf_counter()
    assert found(pattern, *["a" * 2000 + "!"] * 50) == [False] * 50
    assert time.perf_counter() - begun < 5.0
