"""The page itself: facts, tables, charts and images to one HTML file that needs nothing else."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import jinja2
from markupsafe import Markup


@dataclass(frozen=True)
class Grid:
    """A table of cells; a column of numbers is aligned to the right."""

    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""

    @property
    def numeric(self) -> list[bool]:
        """Tell which columns hold nothing but numbers."""
        number = (int, float)
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.heads)
        return [all(isinstance(c, number) or _is_number(c) for c in column) for column in columns]


@dataclass(frozen=True)
class Chart:
    """One picture, as SVG."""

    title: str
    drawing: str
    note: str = ""
    is_wide: bool = False

    @property
    def svg(self) -> Markup:
        """Give the drawing as it is; charts escape what they write themselves."""
        return Markup(self.drawing)


@dataclass(frozen=True)
class Picture:
    """One image with what was said about it."""

    name: str
    thumbnail: bytes | None
    label: str
    confidence: str
    votes: Sequence[str]
    truth: str | None = None

    @property
    def jpeg(self) -> str:
        """Give the thumbnail as text."""
        return base64.b64encode(self.thumbnail or b"").decode()

    @property
    def is_right(self) -> bool:
        """Tell whether label and truth agree."""
        return self.truth == self.label


@dataclass(frozen=True)
class Gallery:
    """Some images under one title."""

    title: str
    images: Sequence[Picture]


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    note: str = ""
    tables: Sequence[Grid] = ()
    charts: Sequence[Chart] = ()
    galleries: Sequence[Gallery] = ()


@dataclass(frozen=True)
class Page:
    """All of it; facts are pairs of a value and what it is."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section] = field(default_factory=list)


def render(page: Page) -> str:
    """Write the page; whatever comes from images or configs is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = files("wslabel.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(page=page)


def _is_number(cell: object) -> bool:
    text = str(cell).replace(",", "").rstrip("%")
    return text == "-" or text.replace(".", "", 1).lstrip("-").isdigit()
