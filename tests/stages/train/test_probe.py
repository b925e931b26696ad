"""A probe needs labels to learn and truth to be judged by."""

import numpy as np
import pytest

from tests.training.toys import blobs
from wslabel.errors import WorkLeft
from wslabel.stages.train.probe import Embedded, joined, scores


def embedded(size: int = 60) -> Embedded:
    """Give features of a body that tells the classes apart, and of one that does not."""
    points = blobs(size, size)
    labels_N = points.targets.argmax(axis=1)
    noise_ND = np.random.default_rng(0).normal(size=points.inputs.shape)
    return Embedded(points.inputs, noise_ND, labels_N, labels_N, np.arange(size) % 3 > 0)


def test_images_of_several_shards_are_put_together() -> None:
    both = joined([embedded(4), embedded(6)])
    assert both is not None
    assert [len(column) for column in both] == [10] * 5
    assert joined([]) is None


def test_the_better_body_scores_higher() -> None:
    found = scores(embedded())
    assert found["pretrained"] > 0.95 > found["random"]
    assert (found["num_train"], found["num_test"]) == (40, 20)


def test_without_labels_or_truth_there_is_no_probe() -> None:
    with pytest.raises(WorkLeft, match="no image has a label to learn or truth to be judged by"):
        scores(None)
    for alone in (np.zeros(60, bool), np.ones(60, bool)):
        with pytest.raises(WorkLeft, match="needs labels in the train split and truth in test"):
            scores(embedded()._replace(is_train_N=alone))
