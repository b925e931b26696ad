"""Seconds that the page of a million labeled images takes, with truth and thumbnails."""

import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.million import NUM_IMAGES, fill, project
from wslabel import pipeline
from wslabel.engine.cluster import connect
from wslabel.workspace.workspace import Workspace

STAGES = ("vote", "label", "evaluate", "report")


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        made = project(Path(name), thumbnail={"size": 48})
        fill(made)
        connect()
        results = {stage: pipeline.run_stage(made, stage) for stage in STAGES}
        seconds = {stage: result.seconds for stage, result in results.items()}
        assert results["label"].num_images >= NUM_IMAGES
        page = Path(made.workspace, Workspace(made).report)
        detail = {"images": results["label"].num_images, "seconds": seconds}
        detail["page_bytes"] = page.stat().st_size
    return {"value": seconds["report"], "unit": "s", "detail": detail}
