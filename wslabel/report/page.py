"""The page: a presentation as one HTML file that needs nothing else."""

import base64
import hashlib
from importlib.resources import files

import jinja2
from markupsafe import Markup

from wslabel.report.cells import written
from wslabel.report.charts import svg
from wslabel.report.presentation import Chart, Kind, Picture, Presentation, Table
from wslabel.screen import visible

MANY_COLUMNS = 5
"""A table of more columns is, on a phone, one card per row."""


POLICY = (
    "default-src 'none'; img-src data:; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
)
"""What a browser lets the page do: show images that are in it, in its one style, and no more."""


def render(presentation: Presentation) -> str:
    """Write the page; whatever comes from images or configs is escaped."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= {"cell": cell, "drawn": drawn, "jpeg": jpeg, "written": written}
    environment.tests |= {"many": has_many_columns}
    template, style = (_own(name) for name in ("page.html.j2", "page.css"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.from_string(template).render(
        page=presentation, Kind=Kind, style=Markup(style), policy=Markup(POLICY.format(digest))
    )


def _own(name: str) -> str:
    return files("wslabel.report").joinpath(name).read_text(encoding="utf-8")


def _finalized(value: object) -> object:
    """Show what is hidden in a text, such as marks that turn its direction."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def cell(value: object, kind: Kind) -> str:
    """Write a cell; a share has a small bar beside its number."""
    words = written(value, kind)
    if kind is Kind.SHARE and isinstance(value, float) and value == value:
        return Markup(svg.bar(value, words))
    return words


def drawn(chart: Chart) -> Markup:
    """Give the drawing as it is; charts escape what they write themselves."""
    return Markup(chart.svg())


def jpeg(picture: Picture) -> str:
    """Give the thumbnail as text; empty where there is none."""
    return base64.b64encode(picture.thumbnail or b"").decode()


def has_many_columns(table: Table) -> bool:
    """Tell whether a table is too wide for a phone."""
    return len(table.columns) > MANY_COLUMNS
