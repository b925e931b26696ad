"""The likeliest class, or no label where none is likeliest; as Snorkel has it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from snorkel.utils import probs_to_preds

from wslabel.label_model.hard_labels import hard


def test_a_near_tie_is_a_tie_as_in_snorkel() -> None:
    probs_NK = np.array([[0.5 + 4e-6, 0.5 - 4e-6], [0.5 + 6e-6, 0.5 - 6e-6], [np.nan, np.nan]])
    assert hard(probs_NK).tolist() == [-1, 0, -1]


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), num_classes=st.integers(2, 6))
def test_hard_labels_are_snorkels(seed: int, num_classes: int) -> None:
    rng = np.random.default_rng(seed)
    probs_NK = rng.integers(1, 4, (40, num_classes)).astype(float)  # few levels make many ties
    probs_NK /= probs_NK.sum(axis=1, keepdims=True)
    labels_N = hard(probs_NK)
    assert labels_N.dtype == np.int16
    assert np.array_equal(labels_N, probs_to_preds(probs_NK, tie_break_policy="abstain"))


def test_no_image_gives_no_label() -> None:
    assert hard(np.zeros((0, 3))).shape == (0,)
