"""Cells are written alike wherever they stand, and given to programs as numbers."""

import json

import numpy as np
import pytest

from wslabel.report.cells import plain, written
from wslabel.report.presentation import Estimate, Interval, Kind


@pytest.mark.parametrize(
    ("cell", "kind", "expected"),
    [
        (None, Kind.SCORE, "-"),
        (float("nan"), Kind.SHARE, "-"),
        (0.95, Kind.SHARE, "0.950"),
        (1_234_567, Kind.COUNT, "1,234,567"),
        (1234.56, Kind.SECONDS, "1,234.6"),
        (Estimate(0.79534, 0.00391), Kind.SCORE, "0.7953 ± 0.0039"),
        (Estimate(0.79534), Kind.SCORE, "0.7953"),
        (Interval(-8.75, -10.79, -6.71), Kind.POINTS, "-8.75 [-10.79, -6.71]"),
        (2.164e-16, Kind.P_VALUE, "2.2e-16"),
        (0.00012345678, Kind.NUMBER, "0.0001235"),
        (4096, Kind.NUMBER, "4,096"),
        ({"quantile": 0.9}, Kind.VALUE, '{"quantile": 0.9}'),
        (False, Kind.VALUE, "false"),
        (0.1, Kind.VALUE, "0.1"),
        ("soft", Kind.VALUE, "soft"),
        (True, Kind.MARK, "*"),
        (False, Kind.MARK, ""),
        ((), Kind.NAMES, ""),
        (("jungle", "sea"), Kind.NAMES, "jungle, sea"),
        (
            ("a very long name of a class", "sea"),
            Kind.NAMES,
            "a very long name of a class and 1 more",
        ),
        (tuple("abcdefghijkl"), Kind.NAMES, "a, b, c, d, e, f, g, h and 4 more"),
    ],
)
def test_what_people_read(cell: object, kind: Kind, expected: str) -> None:
    assert written(cell, kind) == expected


def test_what_programs_read_is_json_without_nan() -> None:
    row = [
        Estimate(0.5, None),
        Interval(1, 0, 2),
        float("inf"),
        ("a",),
        {"x": float("nan")},
        3,
        "s",
    ]
    text = json.dumps([plain(cell) for cell in row], allow_nan=False)
    assert json.loads(text) == [
        {"mean": 0.5, "sd": None},
        {"mean": 1, "low": 0, "high": 2},
        None,
        ["a"],
        {"x": None},
        3,
        "s",
    ]
    assert plain(np.float64("nan")) is None
