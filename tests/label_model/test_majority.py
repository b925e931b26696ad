"""The majority vote is Snorkel's, and a label model like any other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from snorkel.labeling.model import MajorityLabelVoter

from wslabel.label_model.hard_labels import hard
from wslabel.label_model.majority import MajorityConfig, apply
from wslabel.label_model.snorkel import SnorkelConfig
from wslabel.label_model.summary import summarize

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=12)


@settings(deadline=None, max_examples=50)
@given(st.data(), st.integers(2, 6))
def test_majority_equals_snorkels(data: st.DataObject, num_classes: int) -> None:
    votes_NM = data.draw(arrays(np.int8, SHAPES, elements=st.integers(-1, num_classes - 1)))
    probs_NK = apply(votes_NM, num_classes)
    voted_N = (votes_NM != -1).any(axis=1)
    theirs = MajorityLabelVoter(cardinality=num_classes)
    assert np.array_equal(probs_NK[voted_N], theirs.predict_proba(votes_NM)[voted_N])
    assert np.isnan(probs_NK[~voted_N]).all()
    assert np.abs(probs_NK[voted_N].sum(axis=1) - 1).max(initial=0) < 1e-12
    assert np.array_equal(hard(probs_NK), theirs.predict(votes_NM))


def test_no_image_gives_no_label() -> None:
    assert apply(np.empty((0, 3), np.int8), 4).shape == (0, 4)


def test_as_a_label_model_it_takes_the_votes_as_they_are_and_claims_nothing() -> None:
    settings = MajorityConfig(kind="majority")
    votes_NM = np.array([[0, 0, 1], [2, -1, -1], [-1, -1, -1]], np.int8)
    assert settings.unfitted(2) == settings.fit(summarize(np.zeros((0, 1), int), 2), 2)
    fitted = settings.fit(summarize(votes_NM, 3), 3)
    for model in (fitted, settings.restore(fitted.to_json())):
        probs_NK = model.probabilities(votes_NM)
        assert np.array_equal(probs_NK, apply(votes_NM, 3), equal_nan=True)
        assert model.accuracies() is None
        assert model.evidence(votes_NM[0]) is None


def test_it_takes_the_keys_of_snorkel_so_that_the_kind_alone_can_change() -> None:
    plain = SnorkelConfig(epochs=3, class_balance=[0.5, 0.5]).model_dump()
    assert MajorityConfig.model_validate(plain | {"kind": "majority"}).epochs == 3
