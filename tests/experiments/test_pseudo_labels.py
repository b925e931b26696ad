"""Who is chosen to correct a label."""

import numpy as np

from wslabel.config.experiments import SelfTraining
from wslabel.experiments.pseudo_labels import candidates, cuts


def test_who_is_chosen_by_hand() -> None:
    predicted = np.array([[0.95, 0.05], [0.1, 0.9], [0.6, 0.4], [np.nan, np.nan], [0.02, 0.98]])
    given_ = np.array([[0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [0.5, 0.5], [np.nan, np.nan]])
    sure = candidates(predicted, given_, SelfTraining(threshold=0.9))
    assert sure.tolist() == [True, True, False, False, True]
    agreeing = candidates(predicted, given_, SelfTraining(threshold=0.9, agreement=True))
    assert agreeing.tolist() == [True, False, False, False, True]
    label, confidence = np.array([0, 0, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6])
    assert cuts(label, confidence, 3, 0.34).tolist() == [0.8, 0.6, np.inf]
