"""What is taken for what: nothing is lost between the matrix and the pairs."""

import numpy as np
import pytest

from wslabel.report.confusion import confusion_table, pair_table


@pytest.mark.parametrize("num_classes", [2, 8, 20, 21, 100, 1_000])
def test_a_matrix_of_few_classes_and_pairs_of_many(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    confusion_KK = rng.poisson(0.5, (num_classes, num_classes)) + 9 * np.eye(num_classes, dtype=int)
    names = [f"c{index}" for index in range(num_classes)]
    table = confusion_table(names, confusion_KK, "t")
    assert table.is_detail
    assert bool(table.shades) == (num_classes <= 20)
    if table.shades:
        assert [list(row[1:]) for row in table.rows] == confusion_KK.tolist()
        assert np.array(table.shades).sum(axis=1) == pytest.approx(np.ones(num_classes))
        return
    wrong_KK = np.zeros_like(confusion_KK)
    for truth, label, count, share in table.rows:
        row, column = names.index(str(truth)), names.index(str(label))
        wrong_KK[row, column] = count
        assert share == pytest.approx(count / confusion_KK[row].sum())  # type: ignore[operator]
    assert np.array_equal(wrong_KK, confusion_KK * ~np.eye(num_classes, dtype=bool))
    counts = [row[2] for row in table.rows]
    assert counts == sorted(counts, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("num_functions", [8, 20, 60, 200])
def test_pairs_of_functions_stand_once(num_functions: int) -> None:
    rng = np.random.default_rng(0)
    shares_MM = rng.random((num_functions, num_functions))
    shares_MM = (shares_MM + shares_MM.T) / 2
    names = [f"lf{index}" for index in range(num_functions)]
    table = pair_table(names, shares_MM, title="t", note="n", share="both vote")
    if num_functions <= 20:
        assert [list(row[1:]) for row in table.rows] == shares_MM.tolist()
        return
    assert len(table.rows) == num_functions * (num_functions - 1) / 2
    assert all(first != second for first, second, _ in table.rows)
    assert table.rows[0][2] == np.triu(shares_MM, 1).max()
    assert len(table.shown().rows) == 20
    assert table.rest.endswith("more pairs")


def test_a_truth_without_images_has_no_share() -> None:
    table = confusion_table(["a", "b"], np.array([[0, 0], [1, 3]]), "t")
    assert table.shades[0] == (0.0, 0.0)
