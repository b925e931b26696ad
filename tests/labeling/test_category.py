"""Category votes look the top category up; unsure and missing ones abstain."""

import numpy as np
import pytest

from wslabel.labeling.category import CategoryVoter
from wslabel.schema import ABSTAIN

TABLE = np.array([1, 0, ABSTAIN, 1], np.int8)


def vote(
    ids: list[list[int]], probabilities: list[list[float]], at_least: float = 0.0
) -> list[int]:
    batch = {
        "net.category_ids": np.array(ids, np.int16),
        "net.category_probabilities": np.array(probabilities, np.float32),
    }
    found = CategoryVoter("lf", "net", TABLE, at_least)(batch)
    assert found.dtype == np.int8
    return found.tolist()


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
    reads = CategoryVoter("lf", "net", TABLE, 0.0).reads
    assert reads == ("net.category_ids", "net.category_probabilities")
