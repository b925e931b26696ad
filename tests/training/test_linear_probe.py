"""A linear probe separates what a line can separate, and guesses where there is one class."""

import numpy as np

from tests.training.toys import blobs
from wslabel.training import linear_probe


def test_features_that_a_line_separates_are_told_apart() -> None:
    train, test = blobs(60, 60), blobs(40, 40, seed=1)
    labels, truth = (points.targets.argmax(axis=1) for points in (train, test))
    assert linear_probe.accuracy(train.inputs, labels, test.inputs, truth) > 0.95


def test_a_single_class_is_guessed() -> None:
    features, truth = np.zeros((4, 3)), np.array([1, 1, 1, 0])
    assert linear_probe.accuracy(features, np.ones(4, int), features, truth) == 0.75
