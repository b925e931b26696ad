"""Similarity votes: one class above a cosine, or several that compete by a margin."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.labeling.jury import Jury
from wslabel.labeling.similarity import SharedCosines, SimilarityVoter
from wslabel.schema import ABSTAIN


def units(rows: Any) -> np.ndarray:
    array = np.atleast_2d(np.asarray(rows, np.float32))
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def voter(
    vectors: Any,
    classes: list[int],
    above: float | None = None,
    margin: float = 0.0,
    name: str = "lf",
) -> SimilarityVoter:
    return SimilarityVoter(name, "clip", units(vectors), np.array(classes), above, margin)


def vote(one: SimilarityVoter, embeddings: Any) -> list[int]:
    found = one({"clip.embedding": np.atleast_2d(np.asarray(embeddings, np.float16))})
    assert found.dtype == np.int8
    return found.tolist()


def at(cosine: float) -> list[float]:
    return [cosine, (1 - cosine**2) ** 0.5]


def test_a_single_class_votes_above_its_threshold_only() -> None:
    one = voter([1, 0], [3], above=0.5)
    assert vote(one, [at(0.9), at(0.51), at(0.49), at(-0.9)]) == [3, 3, ABSTAIN, ABSTAIN]


def test_exactly_the_threshold_abstains() -> None:
    assert vote(voter([1, 0], [3], above=0.5), [0.5, 0.0]) == [ABSTAIN]


def test_several_prompts_of_a_single_class_count_by_their_nearest() -> None:
    one = voter([[1, 0], [0, 1]], [3, 3], above=0.9)
    assert vote(one, [[1, 0], [0, 1], [0.7, 0.7]]) == [3, 3, ABSTAIN]


def test_of_competing_classes_the_nearest_prompt_wins() -> None:
    one = voter([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [2, 0, 2])
    assert vote(one, [[1, 0.5, 0], [0.5, 1, 0], [0, 0.5, 1]]) == [2, 0, 2]


def test_a_lead_that_does_not_exceed_the_margin_abstains() -> None:
    one = voter([[1, 0], [0, 1]], [0, 1], margin=0.25)
    assert vote(one, [[0.75, 0.25], [0.5, 0.25], [0.5, 0.75]]) == [0, ABSTAIN, ABSTAIN]


def test_a_tie_abstains_even_without_a_margin() -> None:
    assert vote(voter([[1, 0], [0, 1]], [0, 1]), [0.5, 0.5]) == [ABSTAIN]


def test_two_prompts_of_one_class_do_not_compete_with_each_other() -> None:
    one = voter([[1, 0], [0.99, 0.1], [0, 1]], [1, 1, 0], margin=0.5)
    assert vote(one, [1, 0.05]) == [1]


@pytest.mark.parametrize("above", [None, -1.0])
def test_an_image_without_an_embedding_abstains(above: float | None) -> None:
    vectors, classes = ([[1, 0], [0, 1]], [0, 1]) if above is None else ([1, 0], [1])
    one = voter(vectors, classes, above=above)
    nan = float("nan")
    assert vote(one, [[nan, nan], [0.3, 0.9]])[0] == ABSTAIN
    assert vote(one, [[nan, nan], [0.3, 0.9]])[1] == 1


@st.composite
def courts(draw: st.DrawFn) -> tuple[list[SimilarityVoter], np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dim = draw(st.integers(1, 12))
    voters = []
    for index in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, 4))
        if draw(st.booleans()):
            made = voter(rng.normal(size=(size, dim)), [index] * size, above=0.2, name=f"lf{index}")
        else:
            classes = [0, 1, *rng.integers(0, 5, size)]
            vectors = rng.normal(size=(len(classes), dim))
            made = voter(vectors, classes, margin=0.05, name=f"lf{index}")
        voters.append(made)
    embeddings = units(rng.normal(size=(draw(st.integers(1, 30)), dim))).astype(np.float16)
    embeddings[rng.random(len(embeddings)) < 0.1] = np.nan
    return voters, embeddings


@settings(deadline=None)
@given(courts())
def test_votes_with_shared_cosines_are_those_of_each_alone(
    court: tuple[list[SimilarityVoter], np.ndarray],
) -> None:
    voters, embeddings = court
    batch = {"clip.embedding": embeddings, "image_id": np.arange(len(embeddings)).astype(object)}
    alone = [one(batch).tolist() for one in voters]
    assert [v.tolist() for v in SharedCosines(tuple(voters))(batch)] == alone
    assert Jury(voters, 5)(batch).T.tolist() == alone
