"""Marginal images/s of the featurize job over the ceiling: plain processes doing the same work.

The slope between a small and a large job cancels start-up. The ceiling is one plain process with
one thread per core, doing the same decode and the same forward at the same precision on the same
images and with the same memory setting, with no Ray. Bare decode and bare forward loops, run in the
same way, say whether the ceiling is one. All of them take turns.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.data import efficientnet, jpegs, project
from tests.benchmarks.turns import Loop, featurize
from wslabel.columns import batches
from wslabel.engine.execute import disconnect
from wslabel.engine.gpus import keep_to
from wslabel.engine.memory import ENVIRONMENT
from wslabel.project.project import Project
from wslabel.stages import ingest
from wslabel.stages.featurize.featurize import settle_precisions
from wslabel.stages.featurize.prepare import ImagePreparer
from wslabel.workspace.extractors import input_kinds
from wslabel.workspace.workspace import Workspace

SMALL, LARGE = 2000, 6000
FEW = 256
TURNS_S = {"ceiling": 15.0, "decode": 8.0, "forward": 8.0}
CORES = os.cpu_count() or 1


def measure() -> dict[str, Any]:
    os.environ |= ENVIRONMENT  # of the plain processes, as of the job's
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        weights = efficientnet(root / "b0.pth")
        made = {
            n: project(root / f"p{n}", jpegs(root / f"i{n}", n), weights) for n in (SMALL, LARGE)
        }
        for images in made.values():
            ingest.run(Workspace(images))
        precision = _precision(*made.values())
        loops = {what: _loop(made[SMALL], what) for what in TURNS_S}
        try:
            configs = {count: root / f"p{count}/project.yaml" for count in made}
            seconds = {n: featurize(path, list(loops.values())) for n, path in configs.items()}
            rates = {what: loop.rate() for what, loop in loops.items()}
        finally:
            for loop in loops.values():
                loop.kill()
    rate = (LARGE - SMALL) / (seconds[LARGE] - seconds[SMALL])
    detail = {
        "cores": CORES,
        "precision": precision,
        "job_images_per_s": rate,
        "job_seconds": seconds,
        "loops_images_per_s": rates,
        "ceiling_over_bare_sum": rates["ceiling"] * (1 / rates["decode"] + 1 / rates["forward"]),
    }
    # With GPUs the halves run beside each other on different devices: the slower is the ceiling.
    with_gpu = min(rates["decode"], rates["forward"])
    ceiling = with_gpu if torch.cuda.is_available() else rates["ceiling"]
    return {"value": rate / ceiling, "unit": "ratio", "detail": detail}


def _precision(first: Project, *others: Project) -> str:
    """Measure the precision in one workspace and use it in all of them."""
    extractor = settle_precisions(Workspace(first)).extractors["efficientnet"]
    disconnect()
    assert extractor.precision is not None
    for made in others:
        Workspace(made).constants.keep(f"precision-{extractor.identity}", extractor.precision)
    return extractor.precision


def _loop(made: Project, what: str) -> Loop:
    num_gpus = torch.cuda.device_count()
    processes = num_gpus if num_gpus and what == "forward" else CORES
    return Loop(_go_through, processes, TURNS_S[what], made, what)


def _go_through(number: int, done: Callable[[int], None], made: Project, what: str) -> None:
    """Go through images in mini-batches: decode only, forward only, or both in turn."""
    os.environ["CUDA_VISIBLE_DEVICES"] = str(number)
    keep_to([str(number)])
    torch.set_num_threads(1)
    extractors = list(Workspace(made).extractors.values())
    network = next(e for e in extractors if e.is_network)
    pixel_features = tuple((e.name, e.settings) for e in extractors if not e.is_network)
    prepare = ImagePreparer(pixel_features, input_kinds([network]), made.engine.max_pixels)
    model = network.load(made.s3)
    paths = np.array(sorted(Path(made.images.path).iterdir())[:FEW])
    size = made.engine.batch_size
    images = np.stack([prepare(p.read_bytes()).inputs[0] for p in paths[:size]])
    model(images)
    done(0)
    while True:
        for part in batches(paths, size):
            if what != "forward":
                images = np.stack([prepare(path.read_bytes()).inputs[0] for path in part])
            if what != "decode":
                model(images)
            done(len(part))
