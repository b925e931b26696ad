"""An evaluation survives its file, and reads those of older versions, which measured less."""

import json

import pytest

from tests.report.evaluations import evaluation
from wslabel.report.evaluation import Evaluation


@pytest.mark.parametrize("num_classes", [2, 8])
def test_what_is_written_is_read_back(num_classes: int) -> None:
    found = evaluation(num_classes)
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    again = Evaluation.from_json(data)
    assert json.loads(json.dumps(again.to_json())) == data
    assert again.functions == found.functions
    assert again.classes == found.classes
    assert set(data) == {
        *("classes", "label", "labeling_functions", "majority_label", "networks", "num_truths"),
    }


def test_a_project_without_labeling_functions_has_none_in_its_file() -> None:
    network = evaluation(2).networks["soft"]
    data = Evaluation(classes=("a", "b"), networks={"soft": network}).to_json()
    assert set(data) == {"classes", "networks"}
    again = Evaluation.from_json(data)
    assert again.best_function() is None
    assert again.networks["soft"].to_json() == network.to_json()


def test_an_older_file_has_no_curves_of_labels() -> None:
    data = evaluation(2).to_json()
    new = ("macro_f1", "roc_auc", "calibration_error", "negative_log_likelihood")
    for kind in ("label", "majority_label"):
        for split in data[kind].values():
            for name in new:
                del split[name]
    found = Evaluation.from_json(data).labels["label"]["test"]
    assert found.roc_auc is None
    assert found.macro_f1 == evaluation(2).labels["label"]["test"].macro_f1


def test_the_best_function_is_right_most_often() -> None:
    best = evaluation(8).best_function()
    assert best is not None
    assert best.correct == max(score.correct or 0 for score in evaluation(8).functions)
