"""The featurize job's marginal rate over the tutorial's way: one image at a time, in float32.

The tutorial applies a Snorkel labeling function per image, which reads the file, preprocesses it
as torchvision says and runs EfficientNet-B0 on a batch of one. The detail tells what each change
brings, one after another: faster decoding, batches, the chosen precision, memory that is kept. The
job also computes colors and thumbnails.
"""

import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from snorkel.labeling import LFApplier, labeling_function

from tests.benchmarks.data import efficientnet, jpegs, project
from wslabel import pipeline
from wslabel.columns import batches
from wslabel.engine.cluster import disconnect
from wslabel.engine.memory import keep_freed_memory
from wslabel.settings import Project
from wslabel.steps.extractors import make_model, with_precision
from wslabel.steps.featurize import ImagePreparer, input_kinds
from wslabel.steps.tables import Tables

SMALL, LARGE, FEW = 1000, 3000, 160


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        weights = efficientnet(root / "b0.pth")
        paths = sorted(jpegs(root / "few", FEW).iterdir())
        tutorial = _tutorial(weights)
        rates, seconds = [], {}
        for count in (SMALL, LARGE):
            made = project(root / f"p{count}", jpegs(root / f"images{count}", count), weights)
            pipeline.ingest(made)
            seconds[count] = pipeline.featurize(made).seconds
            disconnect()
            rates.append(_rate(tutorial, paths))
        steps = _steps(made, paths)
    rate = (LARGE - SMALL) / (seconds[LARGE] - seconds[SMALL])
    detail = {"job_images_per_s": rate, "tutorial_images_per_s": rates, **steps}
    return {"value": rate / (sum(rates) / len(rates)), "unit": "ratio", "detail": detail}


def _rate(run: Any, paths: list[Path]) -> float:
    run(paths[:8])
    start = time.perf_counter()
    run(paths)
    return len(paths) / (time.perf_counter() - start)


def _tutorial(weights: Path) -> Any:
    network = torchvision.models.efficientnet_b0()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    transform = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1.transforms()

    @labeling_function()
    def top_category(x: Any) -> int:
        image = transform(Image.open(x.path).convert("RGB")).unsqueeze(0)
        with torch.no_grad():
            return int(network(image).argmax()) % 2

    applier = LFApplier([top_category])
    return lambda paths: applier.apply([SimpleNamespace(path=p) for p in paths], progress_bar=False)


def _steps(made: Project, paths: list[Path]) -> dict[str, Any]:
    """Change one thing after another, in this process on all its threads."""
    extractors = Tables(made).extractors
    network = extractors["efficientnet"]
    prepare = ImagePreparer((), input_kinds([network]), made.engine.max_pixels)

    def runner(precision: str, size: int) -> Any:
        model = make_model(with_precision(network, precision), made.s3)

        def run(chosen: list[Path]) -> None:
            for part in batches(np.array(chosen), size):
                model(np.stack([prepare(path.read_bytes()).inputs[0] for path in part]))

        return run

    chosen = network.precision or "float32"
    rates = {
        "our_decoding": _rate(runner("float32", 1), paths),
        "and_batches": _rate(runner("float32", 32), paths),
        f"and_{chosen}": _rate(runner(chosen, 32), paths),
    }
    keep_freed_memory()
    rates["and_kept_memory"] = _rate(runner(chosen, 32), paths)
    threads = {"threads": torch.get_num_threads(), "cores": os.cpu_count()}
    return {"steps_images_per_s": rates} | threads
