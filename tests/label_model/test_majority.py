"""The majority vote is Snorkel's, and so are its hard labels."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from snorkel.labeling.model import MajorityLabelVoter

from wslabel.label_model.labels import hard
from wslabel.label_model.majority import apply

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=12)


@settings(deadline=None, max_examples=50)
@given(st.data(), st.integers(2, 6))
def test_majority_equals_snorkels(data: st.DataObject, num_classes: int) -> None:
    votes_NM = data.draw(arrays(np.int8, SHAPES, elements=st.integers(-1, num_classes - 1)))
    probs_NK = apply(votes_NM, num_classes)
    voted_N = (votes_NM != -1).any(axis=1)
    voter = MajorityLabelVoter(cardinality=num_classes)
    assert np.array_equal(probs_NK[voted_N], voter.predict_proba(votes_NM)[voted_N])
    assert np.isnan(probs_NK[~voted_N]).all()
    assert np.abs(probs_NK[voted_N].sum(axis=1) - 1).max(initial=0) < 1e-12
    assert np.array_equal(hard(probs_NK), voter.predict(votes_NM))


def test_a_near_tie_is_a_tie_as_in_snorkel() -> None:
    probs_NK = np.array([[0.5 + 4e-6, 0.5 - 4e-6], [0.5 + 6e-6, 0.5 - 6e-6], [np.nan, np.nan]])
    assert hard(probs_NK).tolist() == [-1, 0, -1]


def test_no_image_gives_no_label() -> None:
    assert apply(np.empty((0, 3), np.int8), 4).shape == (0, 4)
