"""Category votes look the top category up; unsure and missing ones abstain."""

from pathlib import Path

import numpy as np
import pytest

from tests.projects import Change, assert_refused, drop, put
from wslabel.labeling.category import CategoryLF
from wslabel.schema import ABSTAIN

TABLE = np.array([1, 0, ABSTAIN, 1], np.int8)


def vote(
    ids: list[list[int]], probabilities: list[list[float]], at_least: float = 0.0
) -> list[int]:
    batch = {
        "net.category_ids": np.array(ids, np.int16),
        "net.category_probabilities": np.array(probabilities, np.float32),
    }
    votes = CategoryLF(name="lf", feature="net", votes_C=TABLE, min_probability=at_least)(batch)
    assert votes.dtype == np.int8
    return votes.tolist()


def test_the_top_category_votes_and_the_others_do_not() -> None:
    assert vote([[0, 1], [1, 0], [3, 1]], [[0.6, 0.4]] * 3) == [1, 0, 1]


def test_a_category_without_a_class_abstains() -> None:
    assert vote([[2, 1]], [[0.9, 0.1]]) == [ABSTAIN]


@pytest.mark.parametrize(("probability", "expected"), [(0.49, ABSTAIN), (0.5, 1), (0.51, 1)])
def test_an_unsure_category_abstains(probability: float, expected: int) -> None:
    assert vote([[0, 1]], [[probability, 0.1]], at_least=0.5) == [expected]


@pytest.mark.parametrize("at_least", [0.0, 0.5])
def test_an_image_without_categories_abstains(at_least: float) -> None:
    nan = float("nan")
    assert vote([[-1, -1], [0, 1]], [[nan, nan], [0.9, 0.1]], at_least) == [ABSTAIN, 1]


def test_it_reads_ids_and_probabilities_of_its_feature() -> None:
    reads = CategoryLF(name="lf", feature="net", votes_C=TABLE, min_probability=0.0).reads
    assert reads == ("net.category_ids", "net.category_probabilities")


WRONG: dict[str, tuple[Change, list[str]]] = {
    "unknown class of words": (
        put("labeling_functions", 1, "words", value={"jungel": ["x"]}),
        [": labeling_functions[1] (words)", "unknown class 'jungel'", "did you mean 'jungle'?"],
    ),
    "a feature without categories": (
        put("features", "net", "top_k", value=0),
        [": labeling_functions[1] (words).feature: 'net' stores no categories"],
    ),
    "categories and words": (
        put("labeling_functions", 1, "categories", value={"sea": ["a"]}),
        [": labeling_functions[1] (words): give either words and word_vectors, or categories"],
    ),
    "words without vectors": (
        drop("labeling_functions", 1, "word_vectors"),
        [": labeling_functions[1] (words): words and word_vectors go together"],
    ),
    "a category of two classes": (
        put("labeling_functions", 5, "categories", "jungle", value=["b"]),
        [": labeling_functions[5] (listed): categories: 'b' is named twice"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
