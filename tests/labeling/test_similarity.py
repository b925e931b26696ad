"""Similarity votes: one class above a cosine, or several that compete by a margin."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.labeling.jury import Jury
from wslabel.labeling.similarity import CosineVoter, PromptsVoter, SharedCosines, ThresholdVoter
from wslabel.schema import ABSTAIN


def units(rows: Any) -> np.ndarray:
    array = np.atleast_2d(np.asarray(rows, np.float32))
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def prompts(
    vectors: Any, classes: list[int], margin: float = 0.0, name: str = "lf"
) -> PromptsVoter:
    return PromptsVoter(name, "clip", units(vectors), np.array(classes), margin)


def threshold(
    above: float | None = None, below: float | None = None, vector: Any = (1, 0), name: str = "lf"
) -> ThresholdVoter:
    return ThresholdVoter(name, "clip", units(vector), above, below, 3, 1)


def vote(one: Any, embeddings: Any) -> list[int]:
    found = one({"clip.embedding": np.atleast_2d(np.asarray(embeddings, np.float16))})
    assert found.dtype == np.int8
    return found.tolist()


def at(cosine: float) -> list[float]:
    return [cosine, (1 - cosine**2) ** 0.5]


def test_a_single_class_votes_above_its_threshold_only() -> None:
    one = threshold(above=0.5)
    assert vote(one, [at(0.9), at(0.51), at(0.49), at(-0.9)]) == [3, 3, ABSTAIN, ABSTAIN]


def test_exactly_the_threshold_abstains() -> None:
    assert vote(threshold(above=0.5, below=0.5), [0.5, 0.0]) == [ABSTAIN]


def test_an_image_below_says_that_the_class_is_absent() -> None:
    one = threshold(above=0.5, below=0.2)
    assert vote(one, [at(0.9), at(0.4), at(0.1)]) == [3, ABSTAIN, 1]
    assert vote(threshold(below=0.2), [at(0.9), at(0.1)]) == [ABSTAIN, 1]


def test_of_competing_classes_the_nearest_prompt_wins() -> None:
    one = prompts([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [2, 0, 2])
    assert vote(one, [[1, 0.5, 0], [0.5, 1, 0], [0, 0.5, 1]]) == [2, 0, 2]


def test_a_lead_that_does_not_exceed_the_margin_abstains() -> None:
    one = prompts([[1, 0], [0, 1]], [0, 1], margin=0.25)
    assert vote(one, [[0.75, 0.25], [0.5, 0.25], [0.5, 0.75]]) == [0, ABSTAIN, ABSTAIN]


def test_a_tie_abstains_even_without_a_margin() -> None:
    assert vote(prompts([[1, 0], [0, 1]], [0, 1]), [0.5, 0.5]) == [ABSTAIN]


def test_two_prompts_of_one_class_do_not_compete_with_each_other() -> None:
    one = prompts([[1, 0], [0.99, 0.1], [0, 1]], [1, 1, 0], margin=0.5)
    assert vote(one, [1, 0.05]) == [1]


@pytest.mark.parametrize("one", [prompts([[1, 0], [0, 1]], [0, 1]), threshold(-1.0, 0.0)])
def test_an_image_without_an_embedding_abstains(one: CosineVoter) -> None:
    nan = float("nan")
    first, second = vote(one, [[nan, nan], [0.3, 0.9]])
    assert first == ABSTAIN
    assert second != ABSTAIN


@st.composite
def courts(draw: st.DrawFn) -> tuple[list[CosineVoter], np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dim = draw(st.integers(1, 12))
    voters: list[CosineVoter] = []
    for index in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            voters.append(threshold(0.2, -0.1, rng.normal(size=dim), name=f"lf{index}"))
        else:
            classes = [0, 1, *rng.integers(0, 5, draw(st.integers(1, 4)))]
            vectors = rng.normal(size=(len(classes), dim))
            voters.append(prompts(vectors, classes, margin=0.05, name=f"lf{index}"))
    embeddings = units(rng.normal(size=(draw(st.integers(1, 30)), dim))).astype(np.float16)
    embeddings[rng.random(len(embeddings)) < 0.1] = np.nan
    return voters, embeddings


@settings(deadline=None)
@given(courts())
def test_votes_with_shared_cosines_are_those_of_each_alone(
    court: tuple[list[Any], np.ndarray],
) -> None:
    voters, embeddings = court
    batch = {"clip.embedding": embeddings, "image_id": np.arange(len(embeddings)).astype(object)}
    alone = [one(batch).tolist() for one in voters]
    assert [v.tolist() for v in SharedCosines(tuple(voters))(batch)] == alone
    assert Jury(voters, 5)(batch).T.tolist() == alone
