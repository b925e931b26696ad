"""Uncertain images score high, and nothing is said of images of which nothing is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from wslabel.active.registry import ACQUISITIONS


def probabilities(seed: int, num_images: int, num_classes: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(num_classes), num_images)


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 9), st.integers(2, 6))
def test_entropy_is_scipys(seed: int, num_images: int, num_classes: int) -> None:
    probs_NK = probabilities(seed, num_images, num_classes)
    scores = ACQUISITIONS["entropy"](kind="entropy").scores(probs_NK)
    assert np.allclose(scores, entropy(probs_NK, axis=1))


@pytest.mark.parametrize("kind", list(ACQUISITIONS))
@settings(deadline=None)
@given(seed=st.integers(0, 99), num_classes=st.integers(2, 6))
def test_even_probabilities_score_highest_and_certainty_nothing(
    kind: str, seed: int, num_classes: int
) -> None:
    probs_NK = probabilities(seed, 8, num_classes)
    probs_NK[0], probs_NK[1] = 1 / num_classes, np.eye(num_classes)[0]
    probs_NK[2] = np.nan
    scores = ACQUISITIONS[kind](kind=kind).scores(probs_NK)
    assert np.nanargmax(scores) == 0
    assert scores[1] == 0
    assert np.isnan(scores[2])
    assert np.isnan(scores).sum() == 1


@pytest.mark.parametrize("kind", ["margin", "entropy", "least_confidence"])
@given(seed=st.integers(0, 99))
@settings(deadline=None)
def test_the_names_of_classes_do_not_matter(kind: str, seed: int) -> None:
    probs_NK = probabilities(seed, 5, 4)
    function = ACQUISITIONS[kind](kind=kind)
    assert np.allclose(function.scores(probs_NK), function.scores(probs_NK[:, [2, 0, 3, 1]]))
