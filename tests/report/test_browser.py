"""A real browser shows the page: in light and dark, wide and narrow, with nothing fetched."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.report.evaluations import evaluation
from tests.report.test_page import everything
from wslabel.report.evaluation_sections import presentation
from wslabel.report.page import render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

FRAMES = """<!doctype html><body>{frames}<script>
window.onload = () => document.querySelectorAll("iframe").forEach(frame => {{
  const page = frame.contentDocument, width = page.documentElement.scrollWidth;
  const cut = [...page.querySelectorAll("td.n, .bar, h3, .facts b")].filter(
    e => e.offsetParent && !e.closest(".matrix") && e.getBoundingClientRect().right > frame.width);
  document.body.append(`[${{frame.id}} ${{width}} ${{cut.length}}]`);
}})</script>"""
"""A window of a browser may not be as narrow as a phone, but a frame may."""

Browse = Callable[..., str]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    def run(text: str, *options: str, complaints: list[str] | None = None) -> str:
        assert CHROMIUM is not None
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        logged = "--enable-logging=stderr"
        command = [CHROMIUM, *QUIET, logged, f"--user-data-dir={tmp_path / 'profile'}", *options]
        done = subprocess.run(
            [*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
        if complaints is not None:
            lines = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
            complaints += lines
        return done.stdout

    return run


def test_the_page_is_parsed_as_it_was_meant(browse: Browse) -> None:
    dom = browse(render(everything()), "--dump-dom")
    assert dom.count('<svg class="chart"') == 5
    assert "<script" not in dom
    assert "&lt;script&gt;alert(1)" in dom


def test_a_browser_keeps_to_the_page_s_policy_and_the_page_does_too(browse: Browse) -> None:
    said: list[str] = []
    page = render(everything())
    browse(page, "--dump-dom", complaints=said)
    assert said == []
    planted = (
        '<p style="color: red"><script>document.title = "ran"</script>'
        '<img src="http://127.0.0.1:9/a.png" onerror="document.title = 1"><style>p {}</style>'
    )
    dom = browse(page.replace("<body>", f"<body>{planted}"), "--dump-dom", complaints=said)
    assert "<title>ran" not in dom
    assert len([line for line in said if "Content Security Policy" in line]) >= 4


@pytest.mark.parametrize("size", ["1200,900", "380,800"])
def test_it_is_dark_where_dark_is_wanted(browse: Browse, tmp_path: Path, size: str) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        picture = tmp_path / f"{scheme}.png"
        options = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
        browse(render(everything()), f"--screenshot={picture}", f"--window-size={size}", *options)
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels.std() > 2
        shades[scheme] = np.median(pixels)
    assert shades["light"] > 200
    assert shades["dark"] < 60


@pytest.mark.parametrize("num_classes", [2, 8, 20, 100, 1_000])
def test_nothing_runs_off_the_edge_on_a_phone_or_on_a_wide_screen(
    browse: Browse, num_classes: int
) -> None:
    pages = {"evaluation": render(presentation(evaluation(num_classes, num_functions=200)))}
    if num_classes == 2:
        pages["everything"] = render(everything())
    frames = [
        f'<iframe id="{name}-{width}" width="{width}" srcdoc="{escape(page)}"></iframe>'
        for name, page in pages.items()
        for width in (390, 1400)
    ]
    dom = browse(FRAMES.format(frames="".join(frames)), "--dump-dom", "--window-size=1600,900")
    measured = re.findall(r"\[(\w+)-(\d+) (\d+) (\d+)\]", dom)
    assert len(measured) == len(frames)
    for name, width, scroll_width, num_cut in measured:
        assert int(scroll_width) <= int(width), name
        assert int(num_cut) == 0, (name, width)
