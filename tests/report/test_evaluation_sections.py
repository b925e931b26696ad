"""An evaluation is laid out once: what comes first, what is cut, what is left out."""

from dataclasses import replace

import numpy as np
import pytest

from tests.report.evaluations import evaluation, function
from wslabel.metrics import confusion
from wslabel.report.evaluation import Evaluation
from wslabel.report.evaluation_sections import (
    class_table,
    function_section,
    label_section,
    network_section,
    presentation,
)
from wslabel.report.judging import Answers, HardLabels, judge, judge_labels
from wslabel.report.presentation import class_title


def test_labels_networks_and_functions_each_have_a_section() -> None:
    shown = presentation(evaluation(8))
    assert [section.title for section in shown.sections] == [
        "Labeling functions",
        "Labels",
        "Networks",
    ]
    labels = shown.sections[1]
    assert [table.title for table in labels.tables] == [
        "Overall",
        *("Classes: label model (test)", "Confusion: label model (test)"),
        *("Classes: majority vote (test)", "Confusion: majority vote (test)"),
    ]
    assert [[len(group)] for group in labels.groups()] == [[1], [4]]
    assert [row[:2] for row in labels.tables[0].rows][:3] == [
        *(("label model", "test"), ("label model", "train"), ("label model", "val")),
    ]
    assert "the best labeling function alone: " in labels.note
    assert [fact.name for fact in shown.facts][-1] == "accuracy of the network careful (test)"


def test_classes_come_worst_first_and_those_without_truth_last() -> None:
    truth_N, label_N = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    performance = judge_labels(HardLabels(4, confusion(truth_N, label_N, 4)), None)
    rows = class_table(("a", "b", "c", "d"), performance, "t").rows
    assert [row[0] for row in rows] == ["b", "a", "c", "d"]
    assert rows[0] == ("b", 2, 0.5, 0.5, 0.5)
    assert rows[2] == ("c", 0, 0.0, None, None)
    assert rows[3] == ("d", 0, None, None, None)


def test_the_label_models_estimates_stand_beside_the_truth() -> None:
    found = evaluation(2)
    (table,) = function_section(found, [0.5] * len(found.functions)).tables
    assert table.columns[-1].name == "label model's estimate"
    assert {row[-1] for row in table.rows} == {0.5}
    (plain,) = function_section(found).tables
    assert len(plain.columns) == len(table.columns) - 1


def test_a_function_that_meets_no_truth_has_no_accuracy() -> None:
    """Snorkel calls it 0, which would look like a finding."""
    silent = replace(function(0, ("a", "b")), correct=0, incorrect=0, empirical_accuracy=0.0)
    (table,) = function_section(Evaluation(classes=("a", "b"), functions=(silent,))).tables
    assert table.rows[0][-1] is None
    assert "accuracy" not in [column.name for column in table.shown().columns]


def test_without_truth_there_is_nothing_to_judge_by() -> None:
    nothing = Answers(np.zeros(0, int), np.zeros((0, 2)))
    empty = judge(nothing, 2)
    found = Evaluation(
        classes=("a", "b"),
        functions=(function(0, ("a", "b")),),
        labels={"label": {"test": empty, "train": empty, "val": empty}},
        networks={"soft": empty},
    )
    assert label_section(found).tables == ()
    assert network_section(found).tables == ()
    assert "No image of the test split has a truth" in network_section(found).note
    assert presentation(found).facts == ()
    assert [section.title for section in presentation(found).sections][-1] == "Networks"


def test_details_are_of_the_test_split_or_else_of_the_first_that_has_truth() -> None:
    found = evaluation(2)
    empty = judge(Answers(np.zeros(0, int), np.zeros((0, 2))), 2)
    labels = {"label": found.labels["label"] | {"test": empty}}
    section = label_section(replace(found, labels=labels))
    assert [table.title for table in section.tables][1] == "Classes: label model (train)"


@pytest.mark.parametrize(("num_classes", "title"), [(2, "c0 or c1"), (9, "c0, c1, c2 and 6 more")])
def test_a_title_names_a_few_classes(num_classes: int, title: str) -> None:
    assert class_title([f"c{index}" for index in range(num_classes)]).startswith(title)
