"""The page needs nothing else, and nothing that comes from images or configs is run in it."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given, settings

from tests.hidden import EVIL as HIDDEN
from tests.hidden import NAMES, hidden
from tests.report.evaluations import evaluation
from wslabel.metrics import calibrate
from wslabel.report.charts.dots import DotChart, Dots
from wslabel.report.charts.histogram import HistogramChart
from wslabel.report.charts.lines import LineChart
from wslabel.report.charts.parallel import ParallelChart
from wslabel.report.charts.reliability import ReliabilityChart
from wslabel.report.confusion import confusion_table, pair_table
from wslabel.report.evaluation_sections import presentation
from wslabel.report.page import render
from wslabel.report.presentation import (
    Chart,
    Column,
    Fact,
    Gallery,
    Kind,
    Picture,
    Presentation,
    Section,
    Table,
)
from wslabel.report.statistics import Histogram

EVIL = "<script>alert(1)</script>\"'&"


class Balanced(HTMLParser):
    """Sees that what is opened is closed, and collects the names of tags."""

    VOID = ("meta", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def charts() -> tuple[Chart, ...]:
    calibration = calibrate(np.array([0]), np.array([[0.9, 0.1]]))
    histogram = Histogram(-1, 1, np.array([1, 0, 3]))
    return (
        HistogramChart(title=EVIL, histogram=histogram, marks=((EVIL, 0.2),), note=EVIL),
        ReliabilityChart(title=EVIL, calibration=calibration, note=EVIL),
        DotChart(title=EVIL, rows=(Dots(EVIL, (0.5, 0.7)), Dots("b", (0.1,))), note=EVIL),
        LineChart(title=EVIL, series={EVIL: [0.1, 0.4]}, note=EVIL),
        ParallelChart(title=EVIL, axes={EVIL: [EVIL, "b"], "score": [0.1, 0.2]}, note=EVIL),
    )


def everything() -> Presentation:
    columns = (Column(EVIL), Column("share", Kind.SHARE), Column("names", Kind.NAMES))
    rows = ((EVIL, 0.25, (EVIL, EVIL)), (EVIL, None, ()))
    plain = Table(title=EVIL, columns=columns, rows=rows, limit=1, noun=EVIL, note=EVIL)
    confusion = confusion_table([EVIL, "b"], np.array([[3, 1], [0, 2]]), EVIL)
    pairs = pair_table([f"{EVIL}{i}" for i in range(40)], np.full((40, 40), 0.5), "p", EVIL, EVIL)
    picture = Picture(
        image_id=EVIL,
        thumbnail=b"\xff\xd8",
        label=EVIL,
        confidence=0.9,
        votes=(EVIL,),
        truth=EVIL,
    )
    section = Section(
        title=EVIL,
        note=EVIL,
        tables=(plain, confusion, pairs),
        charts=charts(),
        galleries=(Gallery(EVIL, (picture,)),),
    )
    return Presentation(
        title=EVIL, subtitle=EVIL, facts=(Fact(EVIL, EVIL, Kind.TEXT),), sections=(section,)
    )


@pytest.mark.parametrize("shown", [everything(), presentation(evaluation(8))])
def test_tags_are_balanced_and_no_text_becomes_one(shown: Presentation) -> None:
    parser = Balanced()
    parser.feed(render(shown))
    assert parser.open == []
    assert not {"script", "a", "form", "base", "iframe", "object", "link"} & set(parser.seen)
    assert not {name for name in parser.attributes if name == "style" or name.startswith("on")}


def test_it_refers_to_nothing_outside() -> None:
    text = render(everything())
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "url(" not in text
    assert "@import" not in text


def test_a_browser_is_told_to_let_it_do_nothing_but_what_it_does() -> None:
    text = render(everything())
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    assert tag in text[: text.index("<title>")]  # it rules over what follows it
    assert '<meta name="referrer" content="no-referrer">' in text


@given(NAMES)
@settings(max_examples=30, deadline=None)
@example(f"{HIDDEN}</script></style><!--")
def test_any_name_is_shown_and_ends_no_tag(name: str) -> None:
    columns = (Column(name), Column("share", Kind.SHARE))
    table = Table(title=name, columns=columns, rows=((name, 0.5),), note=name)
    chart = DotChart(title=name, rows=(Dots(name, (0.5,)),), note=name)
    picture = Picture(image_id=name, thumbnail=None, label=name, confidence=0.5, votes=(name,))
    section = Section(
        title=name, tables=(table,), charts=(chart,), galleries=(Gallery(name, (picture,)),)
    )
    text = render(Presentation(title=name, subtitle=name, sections=(section,)))
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert parser.seen.count("style") == 1
    assert hidden(text) <= {"\n"}


def test_what_is_cut_is_counted_and_what_is_empty_is_a_dash() -> None:
    text = render(everything())
    assert f"and 1 more {EVIL.replace('<', '&lt;').replace('>', '&gt;')[:4]}" in text
    columns = (Column("a"), Column("b", Kind.COUNT))
    table = Table(title="t", columns=columns, rows=(("x", 1_234), ("y", None)))
    page = render(Presentation(title="p", sections=(Section(title="s", tables=(table,)),)))
    assert '<td class="n" data-name="b">1,234</td>' in page
    assert '<td class="n" data-name="b">-</td>' in page


@pytest.mark.parametrize("num_classes", [2, 8, 100, 1_000])
def test_it_stays_small(num_classes: int) -> None:
    page = render(presentation(evaluation(num_classes, num_functions=200)))
    assert len(page) < 250_000
    assert ("and 980 more classes" in page) == (num_classes == 1_000)
    assert ("Truth downwards" in page) == (num_classes <= 20)
    assert "and 140 more labeling functions" in page


def test_a_page_shows_the_calibration_error_of_the_table() -> None:
    found = evaluation(8).networks["soft"]
    assert found.calibration_error is not None
    assert f"{found.calibration_error:.4f}" in render(presentation(evaluation(8)))
