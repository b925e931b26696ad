"""What a comparison computes, keeps and shows."""

import json

import numpy as np
import pytest
from scipy import stats

from wslabel.experiments.comparison import NetworkComparison, compared, paired
from wslabel.experiments.comparison_page import table
from wslabel.report.as_json import presented
from wslabel.report.judging import Answers
from wslabel.report.presentation import Presentation, Section

TRUTH_N = np.array([0, 1, 1, 0])
RIGHT = Answers(TRUTH_N, np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]]))
WRONG = Answers(TRUTH_N, np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]]))
SILENT = Answers(TRUTH_N, np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan], [0.6, 0.4]]))
ANSWERS = {("a", 0): RIGHT, ("a", 1): WRONG, ("b", 0): SILENT, ("b", 1): RIGHT}


def test_a_paired_difference_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(50), rng.random(50)
    found, expected = paired(first - second), stats.ttest_rel(first, second)
    assert found.p_value == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert paired(np.zeros(9)).p_value is None


def test_a_comparison_by_hand() -> None:
    a, b = compared(ANSWERS, "a", 2).networks
    assert a.accuracies == (1.0, 0.75)
    assert a.accuracy == 0.875
    accuracy = a.scores["accuracy"]
    assert accuracy is not None
    assert accuracy.sd == pytest.approx(np.std([1, 0.75], ddof=1))
    assert a.difference is None
    # Right per image, over both seeds: a (.5, 1, 1, 1), b (1, 1, .5, 1).
    assert b.difference is not None
    assert b.difference.interval.mean == pytest.approx(0.0)
    assert b.difference.p_value == pytest.approx(1.0)


def test_it_is_kept_as_it_always_was() -> None:
    found = compared(ANSWERS, "a", 2)
    data = json.loads(json.dumps(found.to_json()))
    assert NetworkComparison.from_json(data) == found
    assert set(data) == {"reference", "rows"}
    first, second = data["rows"]
    scores = ("accuracy", "macro_f1", "roc_auc", "calibration_error", "negative_log_likelihood")
    both = {*scores, *(f"{name}_sd" for name in scores), "name", "seeds", "images", "accuracies"}
    assert set(first) == both
    assert set(second) == both | {"difference", "low", "high", "p_value"}


def test_programs_get_numbers() -> None:
    section = Section(title="s", tables=(table(compared(ANSWERS, "a", 2)),))
    rows = presented(Presentation(title="p", sections=(section,)))["s"]
    assert isinstance(rows, dict)
    first, second = rows["networks"]
    assert first["accuracy"] == {"mean": 0.875, "sd": pytest.approx(np.std([1, 0.75], ddof=1))}
    assert first["points"] is None
    assert second["points"]["mean"] == pytest.approx(0.0)
    assert second["points"]["low"] < 0 < second["points"]["high"]
    assert second["p"] == pytest.approx(1.0)


def test_one_seed_has_no_spread() -> None:
    (only,) = compared({("a", 0): RIGHT}, "a", 2).networks
    accuracy = only.scores["accuracy"]
    assert accuracy is not None
    assert accuracy.sd is None
