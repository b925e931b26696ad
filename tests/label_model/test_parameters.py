"""Labels from the learnt parameters are Snorkel's labels, and parameters survive JSON."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from snorkel.labeling.model import LabelModel

from wslabel.label_model.hard_labels import hard
from wslabel.label_model.parameters import Parameters


def draw_parameters(
    rng: np.random.Generator, num_functions: int, num_classes: int, *, smallest: float = 1e-4
) -> Parameters:
    """Make parameters as spread as fitted ones, some at the bound of Snorkel's clamping."""
    mu = rng.uniform(0, 1 / num_classes, (num_functions * num_classes, num_classes))
    mu[rng.random(mu.shape) < 0.2] = smallest
    weights_M = rng.random(num_functions)
    weights_M[0] = np.nan
    balance = rng.dirichlet(np.full(num_classes, 5.0))
    return Parameters(mu.astype(np.float32), balance, weights_M)


def draw_votes(
    rng: np.random.Generator, shape: tuple[int, int], num_classes: int, coverage: float
) -> NDArray[np.int64]:
    votes_NM = rng.integers(0, num_classes, shape)
    votes_NM[rng.random(shape) >= coverage] = -1
    return votes_NM


def snorkel_with(parameters: Parameters, votes_NM: NDArray[np.int64]) -> Any:
    """Fit for no epoch, then set the parameters."""
    num_classes = len(parameters.class_balance)
    model = LabelModel(cardinality=num_classes, verbose=False)
    model.fit(votes_NM, n_epochs=0, progress_bar=False, seed=0)
    model.mu.data[:] = model.mu.data.new_tensor(parameters.mu)
    model.p = parameters.class_balance
    return model


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    num_images=st.integers(1, 300),
    num_functions=st.integers(3, 20),
    num_classes=st.integers(2, 10),
    coverage=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
)
def test_probabilities_and_labels_equal_snorkels(
    seed: int, num_images: int, num_functions: int, num_classes: int, coverage: float
) -> None:
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(rng, num_functions, num_classes)
    votes_NM = draw_votes(rng, (num_images, num_functions), num_classes, coverage)
    model = snorkel_with(parameters, votes_NM)
    probs_NK = parameters.probabilities(votes_NM.astype(np.int8))
    voted_N = (votes_NM != -1).any(axis=1)
    expected_NK = model.predict_proba(votes_NM)
    assert np.isnan(probs_NK[~voted_N]).all()
    # Bit-equal where it was tried; another BLAS may add Snorkel's products in another order.
    assert np.allclose(probs_NK[voted_N], expected_NK[voted_N], rtol=1e-12, atol=0)
    assert np.abs(probs_NK[voted_N].sum(axis=1) - 1).max(initial=0) < 1e-12
    labels_N = hard(probs_NK)
    assert labels_N.dtype == np.int16
    assert (labels_N[~voted_N] == -1).all()
    assert np.array_equal(labels_N[voted_N], model.predict(votes_NM)[voted_N])


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), num_images=st.integers(1, 200))
def test_a_label_depends_on_the_votes_of_its_image_alone(seed: int, num_images: int) -> None:
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(rng, 7, 5)
    votes_NM = draw_votes(rng, (num_images, 7), 5, 0.5)
    order_N = rng.permutation(num_images)
    whole_NK = parameters.probabilities(votes_NM)
    assert np.array_equal(
        parameters.probabilities(votes_NM[order_N]), whole_NK[order_N], equal_nan=True
    )
    alone_NK = np.concatenate(
        [parameters.probabilities(votes_NM[i : i + 1]) for i in range(num_images)]
    )
    assert np.array_equal(alone_NK, whole_NK, equal_nan=True)


def test_very_unlikely_votes_still_give_probabilities() -> None:
    mu = np.full((80 * 2, 2), 1e-9, np.float32)
    mu[1] = [1e-9, 3e-9]
    parameters = Parameters(mu, np.array([0.5, 0.5]), np.ones(80))
    votes_NM = np.ones((1, 80), np.int8)
    assert np.allclose(parameters.probabilities(votes_NM), [[0.25, 0.75]])


def test_no_image_gives_no_label() -> None:
    parameters = draw_parameters(np.random.default_rng(0), 4, 3)
    probs_NK = parameters.probabilities(np.empty((0, 4), np.int8))
    assert probs_NK.shape == (0, 3)
    assert hard(probs_NK).shape == (0,)


def test_accuracies_are_the_learnt_ones_and_unknown_for_a_silent_function() -> None:
    parameters = draw_parameters(np.random.default_rng(0), 4, 3)
    assert np.array_equal(parameters.accuracies(), parameters.weights_M, equal_nan=True)
    assert np.isnan(parameters.accuracies()[0])


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), num_classes=st.integers(2, 5))
def test_evidence_adds_up_to_the_lead_of_the_likeliest_class(seed: int, num_classes: int) -> None:
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(rng, 6, num_classes)
    votes_M = draw_votes(rng, (1, 6), num_classes, 0.6)[0]
    votes_M[0] = 0
    evidence_M = parameters.evidence(votes_M)
    assert (evidence_M[votes_M == -1] == 0).all()
    probs_K = parameters.probabilities(votes_M[None])[0]
    second, first = np.argsort(probs_K)[-2:]
    prior = np.log(parameters.class_balance[first] / parameters.class_balance[second])
    lead = np.log(probs_K[first] / probs_K[second])
    assert np.isclose(evidence_M.sum() + prior, lead, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), shape=st.tuples(st.integers(3, 9), st.integers(2, 6)))
def test_json_keeps_every_bit(seed: int, shape: tuple[int, int]) -> None:
    there = draw_parameters(np.random.default_rng(seed), *shape, smallest=1e-9)
    back = Parameters.from_json(there.to_json())
    for name in ("mu", "class_balance", "weights_M"):
        a, b = getattr(there, name), getattr(back, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b, equal_nan=True)
    assert back.to_json() == there.to_json()
