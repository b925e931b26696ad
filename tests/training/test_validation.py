"""Validation judges the network as it will be used, and refuses what it cannot judge by."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.toys import Arrays, a_run, blobs, linear
from wslabel.errors import TrainingError
from wslabel.training.loop import fit
from wslabel.training.losses import cross_entropy
from wslabel.training.mixed_precision import mixed_precision
from wslabel.training.validation import validate
from wslabel.training.worker_context import WorkerContext

FLOAT32 = mixed_precision("float32", torch.device("cpu"))


def test_the_loss_is_the_mean_over_images_that_count() -> None:
    examples = blobs(30, 8)
    weights = (np.arange(30) % 3).astype(np.float32)
    torch.manual_seed(0)
    network = linear()
    run = a_run(validate=replace(examples, weights=weights))
    record = validate(run, network, FLOAT32, WorkerContext())
    logits = network(torch.from_numpy(examples.inputs))
    losses = cross_entropy(logits, torch.from_numpy(examples.targets)).detach().numpy()
    assert record["validation_loss"] == pytest.approx(np.average(losses, weights=weights))
    answers = logits.argmax(dim=1).numpy() == examples.targets.argmax(axis=1)
    assert record["validation_accuracy"] == pytest.approx(answers[weights > 0].mean())


def test_dropout_is_off() -> None:
    network = torch.nn.Sequential(linear(), torch.nn.Dropout(0.9))
    run = a_run(validate=blobs(40, 40))
    first, second = (validate(run, network.train(), FLOAT32, WorkerContext()) for _ in range(2))
    assert first == second == validate(run, network[0], FLOAT32, WorkerContext())


def test_a_split_without_labels_is_refused() -> None:
    empty = Arrays(np.zeros((0, 3), np.float32), np.zeros((0, 2), np.float32), 8)
    with pytest.raises(TrainingError, match=r"toy: validate_on: truth finds no image"):
        fit(a_run(validate=empty, settings={"validate_on": "truth"}), WorkerContext())


def test_a_metric_that_is_not_defined_is_left_out_and_chooses_nothing() -> None:
    examples = blobs(20, 8)
    one_class = np.tile(np.array([[0.9, 0.1]], np.float32), (20, 1))
    alike = replace(examples, targets=one_class)
    settings = {"validate_on": "truth"}
    fitted = fit(a_run(validate=alike, settings=settings), WorkerContext())
    assert "validation_roc_auc" not in fitted.history[0]
    with pytest.raises(TrainingError, match=r"select_by: roc_auc is not defined where"):
        fit(a_run(validate=alike, settings=settings | {"select_by": "roc_auc"}), WorkerContext())
