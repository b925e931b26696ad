"""The page needs nothing else, and nothing that comes from images or configs is run in it."""

import re
from html.parser import HTMLParser

import numpy as np
from markupsafe import Markup

from wslabel.report import charts
from wslabel.report.page import Chart, Gallery, Grid, Page, Picture, Section, render
from wslabel.report.statistics import Histogram, calibrate

EVIL = "<script>alert(1)</script>\"'&"


class Balanced(HTMLParser):
    """Sees that what is opened is closed, and collects the names of tags."""

    VOID = ("meta", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page() -> str:
    picture = Picture(EVIL, b"\xff\xd8", EVIL, "0.9", [EVIL], EVIL)
    drawings = [
        charts.histogram(Histogram(-1, 1, np.array([1, 0, 3])), EVIL, [(0.2, EVIL)]),
        charts.heat(np.eye(2), [EVIL, "b"], EVIL),
        charts.reliability(calibrate(np.array([[0.9, 0.1]]), np.array([0])), EVIL),
        charts.bar(0.5),
    ]
    section = Section(
        EVIL,
        EVIL,
        [Grid((EVIL, "n"), [(EVIL, "1,000"), (Markup(charts.bar(None)), "-")], EVIL)],
        [Chart(EVIL, drawing, EVIL) for drawing in drawings],
        [Gallery(EVIL, [picture])],
    )
    return render(Page(EVIL, EVIL, [(EVIL, EVIL)], [section]))


def test_tags_are_balanced_and_no_text_becomes_one() -> None:
    parser = Balanced()
    parser.feed(page())
    assert parser.open == []
    assert "script" not in parser.seen


def test_it_refers_to_nothing_outside() -> None:
    text = page()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "url(" not in text
    assert "@import" not in text


def test_numbers_stand_to_the_right() -> None:
    grid = Grid(("a", "b", "c"), [("x", "1,234.5", "-"), ("y", 3, "50%")])
    assert grid.numeric == [False, True, True]
