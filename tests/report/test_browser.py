"""A real browser shows the page: in light and dark, wide and narrow, with nothing fetched."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.report.test_page import page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

Browse = Callable[..., str]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    path = tmp_path / "page.html"
    path.write_text(page(), encoding="utf-8")

    def run(*options: str) -> str:
        assert CHROMIUM is not None
        command = [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *options]
        done = subprocess.run(
            [*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    return run


def test_the_page_is_parsed_as_it_was_meant(browse: Browse) -> None:
    dom = browse("--dump-dom")
    assert dom.count("<svg") == 4
    assert "<script" not in dom
    assert "&lt;script&gt;alert(1)" in dom


@pytest.mark.parametrize("size", ["1200,900", "380,800"])
def test_it_is_dark_where_dark_is_wanted(browse: Browse, tmp_path: Path, size: str) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        picture = tmp_path / f"{scheme}.png"
        options = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
        browse(f"--screenshot={picture}", f"--window-size={size}", *options)
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels.std() > 2
        shades[scheme] = np.median(pixels)
    assert shades["light"] > 200
    assert shades["dark"] < 60
