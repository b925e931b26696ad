"""Seconds that the page of a million labeled images takes, with truth and thumbnails."""

import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.million import NUM_IMAGES, fill, project
from wslabel import pipeline
from wslabel.engine.cluster import connect


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        made = project(Path(name), thumbnail={"size": 48})
        fill(made)
        connect(made.engine)
        seconds = {}
        outcomes = {}
        for stage in (pipeline.vote, pipeline.label, pipeline.evaluate, pipeline.report):
            start = time.perf_counter()
            outcomes[stage.__name__] = stage(made)
            seconds[stage.__name__] = time.perf_counter() - start
        assert outcomes["label"].num_images >= NUM_IMAGES
        page = Path(outcomes["report"].report["page"])
        detail = {"images": outcomes["label"].num_images, "seconds": seconds}
        detail["page_bytes"] = page.stat().st_size
    return {"value": seconds["report"], "unit": "s", "detail": detail}
