"""`--json` gives what people see, in full and as numbers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from tests.report.evaluations import evaluation
from wslabel.report.as_json import as_json, presented
from wslabel.report.evaluation_sections import presentation
from wslabel.report.presentation import Presentation


@dataclass(frozen=True, kw_only=True)
class Plain:
    stage: ClassVar[str] = "vote"
    made: int = 3
    errors: Mapping[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Shown(Plain):
    num_classes: int

    def presentation(self) -> Presentation:
        return presentation(evaluation(self.num_classes))


def test_a_result_gives_its_own_fields() -> None:
    assert as_json(Plain(errors={"missing": 2})) == {
        "stage": "vote",
        "made": 3,
        "errors": {"missing": 2},
    }


@pytest.mark.parametrize("num_classes", [2, 8, 100, 1_000])
def test_all_classes_are_there_and_all_numbers_are_numbers(num_classes: int) -> None:
    found = json.loads(json.dumps(as_json(Shown(num_classes=num_classes)), allow_nan=False))
    assert found["made"] == 3
    overall = found["networks"]["overall"]
    assert [row["network"] for row in overall] == ["original", "soft", "careful"]
    assert all(isinstance(row["calibration_error"], float) for row in overall)
    classes = found["networks"]["classes_original_test"]
    assert len(classes) == num_classes
    assert set(classes[0]) == {"class", "images", "precision", "recall", "f1"}
    assert sum(row["images"] for row in classes) == overall[0]["images"] == 3_000
    assert found["labeling_functions"]["analysis"][1]["votes_for"] == ["jungle", "sea"]


def test_the_confusion_is_complete() -> None:
    for num_classes in (8, 30):
        performance = evaluation(num_classes).networks["soft"]
        rows = presented(presentation(evaluation(num_classes)))["networks"]
        assert isinstance(rows, dict)
        confusion = rows["confusion_soft_test"]
        wrong = performance.confusion_KK.sum() - performance.confusion_KK.trace()
        if num_classes == 8:
            assert confusion[0]["true_class"] == confusion_names(confusion[0])[0]
            cells = [[row[name] for name in confusion_names(row)] for row in confusion]
            assert cells == performance.confusion_KK.tolist()
        else:
            assert sum(row["images"] for row in confusion) == wrong


def confusion_names(row: Mapping[str, object]) -> list[str]:
    return [name for name in row if name != "true_class"]
