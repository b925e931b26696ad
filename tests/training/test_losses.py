"""Losses, against numbers computed by hand."""

import math

import numpy as np
import pytest
import torch

from wslabel.training import losses

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
NAN = float("nan")


def test_soft_cross_entropy_is_the_one_computed_by_hand() -> None:
    targets = torch.tensor([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    log_sum = math.log(math.exp(2) + 1 + math.exp(-1))
    first = -(0.7 * (2 - log_sum) + 0.2 * (0 - log_sum) + 0.1 * (-1 - log_sum))
    found = losses.cross_entropy(LOGITS, targets).tolist()
    assert found == pytest.approx([first, math.log(3)], rel=1e-6)


def test_one_hot_targets_give_the_usual_cross_entropy() -> None:
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(9) % 4
    usual = torch.nn.functional.cross_entropy(logits, ids, reduction="none")
    mine = losses.cross_entropy(logits, torch.nn.functional.one_hot(ids, 4).float())
    assert torch.allclose(mine, usual, atol=1e-6)


def test_unknown_classes_are_masked() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.3], [5.0, 5.0, 5.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, NAN], [NAN, NAN, NAN]])
    found = losses.binary_cross_entropy(logits, targets)
    first = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 2
    assert found.tolist() == pytest.approx([first, 0.0], rel=1e-6)
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 2] == 0
    assert (logits.grad[1] == 0).all()
    soft = losses.binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.3, 0.7]]))
    assert soft.item() == pytest.approx(math.log(2))


def test_who_is_sure() -> None:
    probs = LOGITS.softmax(dim=1)
    assert losses.is_sure(LOGITS, probs[0, 0].item() - 1e-6).tolist() == [True, False]
    assert losses.is_sure(LOGITS, 1 / 3 - 1e-6).tolist() == [True, True]


def test_consistency_by_hand() -> None:
    first, second = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.0, 0.0]])
    p, q = (0.75, 0.25), (0.5, 0.5)
    kl_pq = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    kl_qp = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    kl = losses.kl_consistency(first, second).item()
    assert kl == pytest.approx((kl_pq + kl_qp) / 2, rel=1e-5)
    assert losses.mse_consistency(first, second).item() == pytest.approx(0.0625, rel=1e-5)
    assert losses.kl_consistency(first, first).item() == pytest.approx(0, abs=1e-7)


def test_ramp_up_rises_to_one() -> None:
    found = [losses.ramp_up(t) for t in (0.0, 0.5, 1.0, 7.0)]
    assert found == pytest.approx([math.exp(-5), math.exp(-1.25), 1.0, 1.0])


def test_nt_xent_by_a_plain_loop() -> None:
    views = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1))
    flat = torch.nn.functional.normalize(views.reshape(6, 5), dim=1).numpy()
    expected = np.zeros(3)
    for row in range(6):
        scores = np.exp(flat @ flat[row] / 0.5)
        scores[row] = 0
        expected[row % 3] += -math.log(scores[(row + 3) % 6] / scores.sum()) / 2
    whole = losses.nt_xent(views, views.reshape(6, 5), 0, 0.5)
    assert whole.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    # A worker with the last two images alone gets their losses.
    part = losses.nt_xent(views[:, 1:], views.reshape(6, 5), 1, 0.5)
    assert part.tolist() == pytest.approx(expected[1:].tolist(), rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = losses.nt_xent(views, views.reshape(6, 5), 0, 0.5)
    assert half.tolist() == whole.tolist()
