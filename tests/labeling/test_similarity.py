"""Similarity votes: one class above a cosine, or several that compete by a margin."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projects import SIMILARITY, Change, assert_refused, drop, put, three_classes
from wslabel.labeling.applier import LFApplier, own_batches
from wslabel.labeling.labeling_function import LabelingFunction
from wslabel.labeling.similarity import PromptsLF, ThresholdLF, cosines
from wslabel.schema import ABSTAIN


def units(rows: Any) -> np.ndarray:
    array = np.atleast_2d(np.asarray(rows, np.float32))
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def prompts(vectors: Any, classes: list[int], margin: float = 0.0, name: str = "lf") -> PromptsLF:
    return PromptsLF(
        name=name,
        feature="clip",
        vectors_PD=units(vectors),
        classes_P=np.array(classes),
        margin=margin,
    )


def threshold(
    above: float | None = None, below: float | None = None, vector: Any = (1, 0), name: str = "lf"
) -> ThresholdLF:
    return ThresholdLF(
        name=name,
        feature="clip",
        vectors_PD=units(vector),
        above=above,
        below=below,
        over=3,
        under=1,
    )


def batch(embeddings: Any) -> dict[str, np.ndarray]:
    return {"clip.embedding": np.atleast_2d(np.asarray(embeddings, np.float16))}


def vote(function: LabelingFunction, embeddings: Any) -> list[int]:
    votes = function(batch(embeddings))
    assert votes.dtype == np.int8
    return [int(vote) for vote in votes]


def at(cosine: float) -> list[float]:
    return [cosine, (1 - cosine**2) ** 0.5]


def test_a_single_class_votes_above_its_threshold_only() -> None:
    function = threshold(above=0.5)
    assert vote(function, [at(0.9), at(0.51), at(0.49), at(-0.9)]) == [3, 3, ABSTAIN, ABSTAIN]


def test_exactly_the_threshold_abstains() -> None:
    assert vote(threshold(above=0.5, below=0.5), [0.5, 0.0]) == [ABSTAIN]


def test_an_image_below_says_that_the_class_is_absent() -> None:
    function = threshold(above=0.5, below=0.2)
    assert vote(function, [at(0.9), at(0.4), at(0.1)]) == [3, ABSTAIN, 1]
    assert vote(threshold(below=0.2), [at(0.9), at(0.1)]) == [ABSTAIN, 1]


def test_of_competing_classes_the_nearest_prompt_wins() -> None:
    function = prompts([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [2, 0, 2])
    assert vote(function, [[1, 0.5, 0], [0.5, 1, 0], [0, 0.5, 1]]) == [2, 0, 2]


def test_a_lead_that_does_not_exceed_the_margin_abstains() -> None:
    function = prompts([[1, 0], [0, 1]], [0, 1], margin=0.25)
    assert vote(function, [[0.75, 0.25], [0.5, 0.25], [0.5, 0.75]]) == [0, ABSTAIN, ABSTAIN]


def test_a_tie_abstains_even_without_a_margin() -> None:
    assert vote(prompts([[1, 0], [0, 1]], [0, 1]), [0.5, 0.5]) == [ABSTAIN]


def test_two_prompts_of_one_class_do_not_compete_with_each_other() -> None:
    function = prompts([[1, 0], [0.99, 0.1], [0, 1]], [1, 1, 0], margin=0.5)
    assert vote(function, [1, 0.05]) == [1]


@pytest.mark.parametrize("function", [prompts([[1, 0], [0, 1]], [0, 1]), threshold(-1.0, 0.0)])
def test_an_image_without_an_embedding_abstains(function: LabelingFunction) -> None:
    nan = float("nan")
    first, second = vote(function, [[nan, nan], [0.3, 0.9]])
    assert first == ABSTAIN
    assert second != ABSTAIN


def test_a_threshold_goes_by_the_cosine() -> None:
    function = threshold(above=0.5, below=0.2)
    scores = function.scores(batch([at(0.9), at(0.1), [np.nan, np.nan]]))
    assert np.allclose(scores, [0.9, 0.1, np.nan], atol=1e-3, equal_nan=True)
    assert function.thresholds == {"above": 0.5, "below": 0.2}
    assert threshold(above=0.5).thresholds == {"above": 0.5}


def test_prompts_go_by_the_lead_of_the_nearest_class() -> None:
    function = prompts([[1, 0], [0, 1]], [0, 1], margin=0.25)
    scores = function.scores(batch([[0.75, 0.25], [0.5, 0.75], [np.nan, np.nan]]))
    assert np.allclose(scores, [0.5, 0.25, np.nan], atol=1e-3, equal_nan=True)
    assert function.thresholds == {"margin": 0.25}


@pytest.mark.parametrize("function", [threshold(0.3, 0.1), prompts([[1, 0], [0, 1]], [0, 1], 0.2)])
def test_scores_lie_in_their_range_and_say_who_votes(function: LabelingFunction) -> None:
    images = batch(units(np.random.default_rng(3).normal(size=(200, 2))))
    scores, votes = function.scores(images), function(images)
    assert function.score_range is not None
    low, high = function.score_range
    assert ((scores >= low - 1e-3) & (scores <= high + 1e-3)).all()
    beyond = scores > max(function.thresholds.values())
    if "below" in function.thresholds:
        beyond |= scores < function.thresholds["below"]
    assert ((votes != ABSTAIN) == beyond).all()


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_score_depends_on_its_own_vector_and_image_alone(data: st.DataObject) -> None:
    """To the last bit, whatever others are beside them and wherever they stand."""
    dim = data.draw(st.sampled_from([1, 7, 64, 100, 512, 513]))
    num_images, num_vectors = data.draw(st.integers(1, 1500)), data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    embeddings_ND = rng.normal(size=(num_images, dim)).astype(np.float16)
    vectors_PD = rng.normal(size=(num_vectors, dim)).astype(np.float32)
    whole_PN = cosines(vectors_PD, embeddings_ND)
    images = rng.permutation(num_images)[: data.draw(st.integers(1, num_images))]
    vectors = rng.permutation(num_vectors)[: data.draw(st.integers(1, num_vectors))]
    some_PN = cosines(vectors_PD[vectors], embeddings_ND[images])
    assert np.array_equal(some_PN, whole_PN[np.ix_(vectors, images)])


@given(rows=st.integers(0, 1100), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_cosines_are_the_product_whatever_the_number_of_images(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors_PD, embeddings_ND = rng.normal(size=(3, 5)), rng.normal(size=(rows, 5))
    assert np.allclose(cosines(vectors_PD, embeddings_ND), vectors_PD @ embeddings_ND.T, atol=1e-4)


@st.composite
def functions_and_embeddings(draw: st.DrawFn) -> tuple[list[LabelingFunction], np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dim = draw(st.integers(1, 12))
    functions: list[LabelingFunction] = []
    for index in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            functions.append(threshold(0.2, -0.1, rng.normal(size=dim), name=f"lf{index}"))
        else:
            classes = [0, 1, *rng.integers(0, 5, draw(st.integers(1, 4)))]
            vectors = rng.normal(size=(len(classes), dim))
            functions.append(prompts(vectors, classes, margin=0.05, name=f"lf{index}"))
    embeddings = units(rng.normal(size=(draw(st.integers(1, 30)), dim))).astype(np.float16)
    embeddings[rng.random(len(embeddings)) < 0.1] = np.nan
    return functions, embeddings


@settings(deadline=None)
@given(functions_and_embeddings())
def test_votes_with_shared_cosines_are_those_of_each_alone(
    case: tuple[list[LabelingFunction], np.ndarray],
) -> None:
    functions, embeddings = case
    images = {"clip.embedding": embeddings, "image_id": np.arange(len(embeddings)).astype(object)}
    alone = [function(images).tolist() for function in functions]
    shared = list(own_batches(functions, images))
    for function, own in shared:
        assert set(own) == {"clip.embedding", function.cosines_column}
    assert [function(own).tolist() for function, own in shared] == alone
    assert LFApplier(functions, 5)(images).T.tolist() == alone


WRONG: dict[str, tuple[Change, list[str]]] = {
    "unknown class of a prompt": (
        put("labeling_functions", 2, "class", value="see"),
        [": labeling_functions[2] (one)", "unknown class 'see'", "did you mean 'sea'?"],
    ),
    "half a similarity": (
        put("labeling_functions", 2, value=SIMILARITY | {"text": "the sea"}),
        [
            ": labeling_functions[2] (s): give either text or image, and class; "
            "or prompts and margin"
        ],
    ),
    "both forms of similarity": (
        put("labeling_functions", 3, "text", value="the sea"),
        [": labeling_functions[3] (two): prompts of at least two classes compete"],
    ),
    "a similarity that never votes": (
        drop("labeling_functions", 2, "present_above"),
        [": labeling_functions[2] (one): give present_above, absent_below or both"],
    ),
    "text and image at once": (
        put("labeling_functions", 6, "text", value="the sea"),
        [": labeling_functions[6] (like): give either text or image"],
    ),
    "thresholds that cross": (
        put("labeling_functions", 2, "absent_below", value=0.3),
        [": labeling_functions[2] (one): absent_below 0.3 is more than present_above 0.2"],
    ),
    "quantiles that cross": (
        put("labeling_functions", 6, "absent_below", value={"quantile": 0.95}),
        [": labeling_functions[6] (like): absent_below 0.95 is more than present_above 0.9"],
    ),
    "a quantile beyond one": (
        put("labeling_functions", 6, "present_above", value={"quantile": 90}),
        [
            ": labeling_functions[6] (like).present_above.quantile: ",
            "less than or equal to 1",
            "found 90",
        ],
    ),
    "a misspelled quantile": (
        put("labeling_functions", 6, "present_above", value={"quantil": 0.9}),
        [": labeling_functions[6] (like).present_above: unknown key 'quantil'", "'quantile'"],
    ),
    "a crop inside out": (
        put("labeling_functions", 6, "crop", value=[0.5, 0, 0.2, 1]),
        [": labeling_functions[6] (like): crop: expected left < right and top < bottom"],
    ),
    "a crop of nothing": (
        put("labeling_functions", 2, "crop", value=[0, 0, 1, 1]),
        [": labeling_functions[2] (one): crop: there is no image to crop"],
    ),
    "absence among three classes": (
        three_classes,
        [": labeling_functions[6] (like).absent_below: that 'sea' is absent says which class"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
