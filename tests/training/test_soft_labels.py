"""What is done to labels before they are learned, against numbers computed by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wslabel.training import losses, soft_labels

NAN = float("nan")


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_uniform_smoothing_is_torchs(smoothing: float) -> None:
    logits, ids = torch.randn(6, 5), torch.arange(6) % 5
    usual = torch.nn.functional.cross_entropy(
        logits, ids, reduction="none", label_smoothing=smoothing
    )
    one_hot = np.eye(5)[ids.numpy()]
    smooth = torch.from_numpy(soft_labels.smooth(one_hot, smoothing).astype(np.float32))
    assert torch.allclose(losses.cross_entropy(logits, smooth), usual, atol=1e-5)


def test_both_forms_of_smoothing_by_hand() -> None:
    hard, soft = np.array([[0.0, 1.0, 0.0, 0.0]]), np.array([[0.1, 0.6, 0.3, 0.0]])
    assert soft_labels.smooth(hard, 0.2)[0] == pytest.approx([0.05, 0.85, 0.05, 0.05])
    assert soft_labels.smooth(hard, 0.2, "others")[0] == pytest.approx(
        [0.2 / 3, 0.8, 0.2 / 3, 0.2 / 3]
    )
    assert soft_labels.smooth(soft, 0.2)[0] == pytest.approx([0.13, 0.53, 0.29, 0.05])
    others = [0.08 + 0.2 * 0.9 / 3, 0.48 + 0.2 * 0.4 / 3, 0.24 + 0.2 * 0.7 / 3, 0.2 / 3]
    assert soft_labels.smooth(soft, 0.2, "others")[0] == pytest.approx(others)


@given(
    row=st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    epsilon=st.floats(0, 0.99),
    form=st.sampled_from(["uniform", "others"]),
)
def test_smoothing_keeps_the_sum(row: list[float], epsilon: float, form: str) -> None:
    soft = np.array([row]) / sum(row)
    smoothed = soft_labels.smooth(soft, epsilon, form)
    assert smoothed.sum() == pytest.approx(1)
    assert smoothed.min() >= 0
    # With two classes, the one form is the other with half the share.
    if len(row) == 2 and form == "others":
        assert np.allclose(smoothed, soft_labels.smooth(soft, 2 * epsilon), atol=1e-9)


def test_mixing_given_and_predicted_labels_by_hand() -> None:
    given_NK = np.array([[0.8, 0.2], [NAN, NAN]])
    predicted_NK = np.array([[0.1, 0.9], [0.3, 0.7]])
    mixed = soft_labels.mix(given_NK, predicted_NK, 0.25)
    assert mixed.tolist() == [pytest.approx([0.275, 0.725]), pytest.approx([0.3, 0.7])]


def test_class_weights_by_hand() -> None:
    totals = np.array([30.0, 10.0, 0.0])
    assert soft_labels.class_weights(totals, None).tolist() == [1, 1, 1]
    balanced = soft_labels.class_weights(totals, "balanced")
    assert balanced.tolist() == pytest.approx([2 / 3, 2.0, 0.0])
    effective = soft_labels.class_weights(totals, "effective")
    numbers = [(1 - 0.999**n) / 0.001 for n in (30, 10)]
    assert effective[1] / effective[0] == pytest.approx(numbers[0] / numbers[1], rel=1e-5)
    for weights in (balanced, effective):
        assert (weights * totals).sum() == pytest.approx(totals.sum(), rel=1e-5)


def test_images_count_by_class_and_confidence() -> None:
    soft, weights = np.array([[0.8, 0.2], [NAN, NAN]]), (1.0, 3.0)
    plain = soft_labels.image_weights(soft, weights, None)
    assert plain.tolist() == pytest.approx([1.4, 0.0])
    sure = soft_labels.image_weights(soft, weights, soft_labels.confidence(soft))
    assert sure.tolist() == pytest.approx([1.4 * 0.8, 0.0])
    assert soft_labels.confidence(soft).tolist() == pytest.approx([0.8, 0.0])
