"""The featurize job's marginal rate over the tutorial's way: one image at a time, in float32.

The tutorial applies a Snorkel labeling function per image, which reads the file, preprocesses it
as torchvision says and runs EfficientNet-B0 on a batch of one. The detail tells what each change
brings, one after another: faster decoding, batches, the chosen precision. The job also keeps freed
memory, and computes colors and thumbnails.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from snorkel.labeling import LFApplier, labeling_function

from tests.benchmarks.data import efficientnet, jpegs, project
from tests.benchmarks.turns import Loop, featurize
from wslabel.columns import batches
from wslabel.project.project import Project
from wslabel.stages.featurize.featurize import featurize_step
from wslabel.workspace.extractors import input_kinds
from wslabel.workspace.workspace import Workspace

SMALL, LARGE, FEW = 1000, 3000, 160


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        weights = efficientnet(root / "b0.pth")
        paths = sorted(jpegs(root / "few", FEW).iterdir())
        tutorial = Loop(_apply_for_ever, 1, 20.0, weights, paths)
        try:
            seconds = {}
            for count in (SMALL, LARGE):
                made = project(root / f"p{count}", jpegs(root / f"images{count}", count), weights)
                config = root / f"p{count}/project.yaml"
                seconds[count] = featurize(config, [tutorial])
            tutorial_rate = tutorial.rate()
        finally:
            tutorial.kill()
        steps = _steps(made, paths)
    rate = (LARGE - SMALL) / (seconds[LARGE] - seconds[SMALL])
    detail = {"job_images_per_s": rate, "tutorial_images_per_s": tutorial_rate, **steps}
    return {"value": rate / tutorial_rate, "unit": "ratio", "detail": detail}


def _rate(run: Any, paths: list[Path]) -> float:
    run(paths[:8])
    start = time.perf_counter()
    run(paths)
    return len(paths) / (time.perf_counter() - start)


def _apply_for_ever(
    number: int, done: Callable[[int], None], weights: Path, paths: list[Path]
) -> None:
    """Apply the tutorial's labeling function to a few images at a time, on all cores."""
    run = _tutorial(weights)
    run(paths[:8])
    done(0)
    while True:
        for part in batches(np.array(paths), 8):
            run(list(part))
            done(len(part))


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
    extractors = Workspace(made).extractors
    network = extractors["efficientnet"]
    prepare = featurize_step(Workspace(made)).preparer((), input_kinds([network]))

    def runner(precision: str, size: int) -> Any:
        model = network.with_precision(precision).load(made.s3)

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
    threads = {"threads": torch.get_num_threads(), "cores": os.cpu_count()}
    return {"steps_images_per_s": rates} | threads
