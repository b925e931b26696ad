"""A fit on the summary is a fit on the votes, to the last bit."""

import logging
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from snorkel.labeling.model import LabelModel

from wslabel.errors import ConfigError
from wslabel.label_model.parameters import Parameters
from wslabel.label_model.snorkel_fit import FitOptions, fit
from wslabel.label_model.summary import merge, summarize

TRAINING = FitOptions(
    epochs=12, learning_rate=0.01, l2=0.0, optimizer="sgd", seed=123, class_balance=None
)


def draw_votes(
    seed: int, num_images: int, num_functions: int, num_classes: int, coverage: float
) -> NDArray[np.int64]:
    """Vote with an accuracy of 0.7, the last function never."""
    rng = np.random.default_rng(seed)
    shape = num_images, num_functions
    truth_N = rng.integers(0, num_classes, num_images)
    votes_NM = np.where(
        rng.random(shape) < 0.7, truth_N[:, None], rng.integers(0, num_classes, shape)
    )
    votes_NM[rng.random(shape) >= coverage] = -1
    votes_NM[:, -1] = -1
    return votes_NM


def snorkels_own(votes_NM: NDArray[np.int64], num_classes: int, training: FitOptions) -> Any:
    model = LabelModel(cardinality=num_classes, verbose=False)
    model.fit(
        votes_NM,
        class_balance=training["class_balance"],
        progress_bar=False,
        n_epochs=training["epochs"],
        lr=training["learning_rate"],
        l2=training["l2"],
        optimizer=training["optimizer"],
        seed=training["seed"],
    )
    return model


def assert_bit_equal(ours: Parameters, model: Any) -> None:
    assert ours.mu.dtype == np.float32
    assert np.array_equal(ours.mu, model.mu.detach().numpy())
    assert np.array_equal(ours.class_balance, model.p)
    with np.errstate(divide="ignore", invalid="ignore"):  # Snorkel divides by a coverage of 0
        weights_M = np.where(model.coverage > 0, model.get_weights(), np.nan)
    assert np.array_equal(ours.weights_M, weights_M, equal_nan=True)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    num_images=st.sampled_from([1, 9, 100, 101, 1500, 12_000]),
    num_functions=st.integers(3, 12),
    num_classes=st.integers(2, 6),
    coverage=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
)
def test_fit_equals_snorkels_own(
    seed: int, num_images: int, num_functions: int, num_classes: int, coverage: float
) -> None:
    votes_NM = draw_votes(seed, num_images, num_functions, num_classes, coverage)
    ours = fit(summarize(votes_NM, num_classes), num_classes=num_classes, **TRAINING)
    assert_bit_equal(ours, snorkels_own(votes_NM, num_classes, TRAINING))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamax"])
@pytest.mark.parametrize("class_balance", [None, [0.5, 0.3, 0.2]])
def test_every_setting_reaches_snorkel(optimizer: str, class_balance: list[float] | None) -> None:
    votes_NM = draw_votes(1, 400, 5, 3, 0.6)
    training = FitOptions(
        epochs=30,
        learning_rate=0.02,
        l2=0.1,
        optimizer=optimizer,
        seed=7,
        class_balance=class_balance,
    )
    ours = fit(summarize(votes_NM, 3), num_classes=3, **training)
    assert_bit_equal(ours, snorkels_own(votes_NM, 3, training))


def test_fit_of_merged_shards_equals_snorkels_own() -> None:
    votes_NM = draw_votes(2, 3000, 8, 4, 0.5)
    shards = [summarize(part, 4) for part in np.array_split(votes_NM, 3)]
    ours = fit(merge(shards[2], merge(shards[0], shards[1])), num_classes=4, **TRAINING)
    assert_bit_equal(ours, snorkels_own(votes_NM, 4, TRAINING))


def test_weights_are_near_the_accuracies_and_unknown_for_a_silent_function() -> None:
    votes_NM = draw_votes(3, 5000, 6, 2, 0.8)
    training = TRAINING | {"epochs": 300}
    weights_M = fit(summarize(votes_NM, 2), num_classes=2, **training).weights_M
    assert np.isnan(weights_M[-1])
    assert np.abs(weights_M[:-1] - 0.85).max() < 0.05


def test_global_random_generators_stay_as_they_were() -> None:
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    fit(summarize(draw_votes(4, 50, 4, 2, 0.8), 2), num_classes=2, **TRAINING)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected


def test_fit_is_silent(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        fit(summarize(draw_votes(5, 50, 4, 2, 0.8), 2), num_classes=2, **TRAINING)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name == "root"] == []


@pytest.mark.parametrize(
    ("num_images", "num_functions", "settings_", "sentence"),
    [
        (0, 4, {}, "found no image"),
        (9, 4, {"class_balance": [1.0]}, "class_balance needs 2 shares"),
        (9, 4, {"class_balance": [1.0, 0.0]}, "class_balance needs 2 shares"),
        (9, 4, {"learning_rate": 1e30}, "lower label_model.learning_rate"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_sentence(
    num_images: int, num_functions: int, settings_: Any, sentence: str
) -> None:
    votes_NM = draw_votes(6, num_images, num_functions, 2, 0.8)
    with pytest.raises(ConfigError, match=sentence):
        fit(summarize(votes_NM, 2), num_classes=2, **(TRAINING | settings_))
