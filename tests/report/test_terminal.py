"""Tables fit the terminal, whatever the number of classes: no number is cut, no row is lost."""

import io
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.hidden import EVIL, NAMES, hidden
from tests.report.evaluations import evaluation
from wslabel.report.evaluation_sections import presentation
from wslabel.report.presentation import (
    Column,
    Estimate,
    Interval,
    Kind,
    Presentation,
    Section,
    Table,
)
from wslabel.report.terminal import draw

SIZES = (2, 8, 100, 1_000)


def drawn(shown: Presentation, width: int | None = None, *, details: bool = False) -> str:
    file = io.StringIO()
    draw(shown, width=width, file=file, details=details)
    return file.getvalue()


def one_table(table: Table, width: int | None = None) -> str:
    return drawn(Presentation(title="t", sections=(Section(title="s", tables=(table,)),)), width)


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("num_classes", SIZES)
def test_every_line_fits_and_no_number_is_cut(num_classes: int, *, details: bool) -> None:
    found = evaluation(num_classes, num_functions=70)
    for width in (80, 100, 200):
        text = drawn(presentation(found), width, details=details)
        assert max(map(cell_len, text.splitlines())) <= width
        assert "…" not in text
        for performance in (*found.networks.values(), found.labels["label"]["test"]):
            assert f"{performance.accuracy:.4f}" in text
            assert f"{performance.calibration_error:.4f}" in text


@pytest.mark.parametrize("num_classes", SIZES)
def test_overall_figures_come_first_then_the_worst_classes(num_classes: int) -> None:
    text = drawn(presentation(evaluation(num_classes)), 100)
    networks = text[text.index("\nNetworks") :]
    assert networks.index("macro F1") < networks.index("Classes: original (test)")
    table = networks[networks.index("Classes: original") : networks.index("Classes: soft")]
    scores = [float(line.split()[-1]) for line in table.splitlines() if re.search(r"\.\d+$", line)]
    assert len(scores) == min(num_classes, 20)
    assert all(first <= second for first, second in pairwise(scores))
    left = num_classes - 20
    assert (f"and {left:,} more classes" in table) == (left > 0)


def test_the_confusion_of_many_classes_is_a_list_of_pairs() -> None:
    few = drawn(presentation(evaluation(8)), 200, details=True)
    many = drawn(presentation(evaluation(21)), 200, details=True)
    assert "Truth downwards, labels across" in few
    assert "Truth downwards" not in many
    assert "more confused pairs" in many
    assert "Confusion" not in drawn(presentation(evaluation(8)), 200)


def test_a_log_keeps_each_row_on_its_line() -> None:
    names = [f"a rather long name of a column, number {index}" for index in range(4)]
    table = Table(title="t", columns=tuple(map(Column, names)), rows=((*names,),))
    assert all(" ".join(name.split()) in one_table(table) for name in names)


def test_what_looks_like_markup_is_text() -> None:
    table = Table(title="[bold]", columns=(Column("[red]x"),), rows=(("[/] :smile:",),))
    assert "[bold]" in one_table(table, 80)
    assert "[red]x" in one_table(table, 80)
    assert "[/] :smile:" in one_table(table, 80)


@given(st.lists(NAMES, min_size=1, max_size=4), st.sampled_from([60, 200]))
@settings(deadline=None)
@example(["[/x]"], 80)
@example([EVIL, "b"], 80)
def test_any_name_is_shown_and_steers_nothing(names: list[str], width: int) -> None:
    columns = tuple(Column(name, kind) for name, kind in zip(names, Kind, strict=False))
    row = (names[0], *((name,) for name in names[1:2]), *names[2:])
    tables = tuple(
        Table(title=f"{name}{index}", columns=columns, rows=(row,), note=name, noun=name, limit=0)
        for index, name in enumerate(names)
    )
    whole = tuple(replace(table, limit=None) for table in tables)
    sections = tuple(Section(title=name, note=name, tables=(*tables, *whole)) for name in names)
    assert hidden(drawn(Presentation(title=names[0], sections=sections), width)) <= {"\n"}


def test_a_table_that_is_too_wide_is_cut_into_blocks_that_name_their_rows() -> None:
    scores = [Column(f"score {index}", Kind.SCORE) for index in range(12)]
    estimates = [Estimate(index / 100, 0.001) for index in range(12)]
    columns = (Column("network"), *scores, Column("points", Kind.POINTS))
    row = ("self_training", *estimates, Interval(1.0, -2.0, 3.5))
    text = one_table(Table(title="t", columns=columns, rows=(row,)), 80)
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    assert text.count("self_training") == text.count("network") == 5
    assert all(f"{index / 100:.4f} ± 0.0010" in text for index in range(12))
    assert "+1.00 [-2.00, +3.50]" in text


def test_a_column_without_any_value_is_not_shown() -> None:
    columns = (Column("name"), Column("correct", Kind.COUNT), Column("coverage", Kind.SHARE))
    table = Table(title="t", columns=columns, rows=(("a", None, 0.5), ("b", None, None)))
    assert "correct" not in one_table(table, 80)
    assert "-" in one_table(table, 80)


def test_wide_characters_take_the_room_they_need() -> None:
    columns = (Column("class"), Column("images", Kind.COUNT))
    rows = (("熱帯雨林" * 12, 5), ("sea", 1_000_000))
    text = one_table(Table(title="t", columns=columns, rows=rows), 60)
    assert all(cell_len(line) <= 60 for line in text.splitlines())
    assert text.count("熱") == 12
    assert "1,000,000" in text
