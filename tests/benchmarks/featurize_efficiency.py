"""Marginal images/s of the featurize job over the ceiling: plain processes doing the same work.

The slope between a small and a large job cancels start-up. The ceiling is one plain process with
one thread per core, doing the same decode and the same forward at the same precision on the same
images and with the same memory setting, with no Ray. Bare decode and bare forward loops, run in the
same way, say whether the ceiling is one. Machines drift, so the plain loops are measured in rounds,
before and after the large job.
"""

import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.data import efficientnet, jpegs, project
from wslabel import pipeline
from wslabel.columns import batches
from wslabel.engine.cluster import disconnect
from wslabel.engine.memory import keep_freed_memory
from wslabel.settings import Project
from wslabel.steps.extractors import make_model
from wslabel.steps.featurize import ImagePreparer, input_kinds
from wslabel.steps.tables import Tables

SMALL, LARGE = 2000, 6000
CEILING_IMAGES = 512
CORES = os.cpu_count() or 1


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        weights = efficientnet(root / "b0.pth")
        rounds, seconds = [], {}
        for count in (SMALL, LARGE):
            made = project(root / f"p{count}", jpegs(root / f"images{count}", count), weights)
            pipeline.ingest(made)
            seconds[count] = pipeline.featurize(made).seconds
            disconnect()
            rounds.append(_plain(made))
        precision = Tables(made).extractors["efficientnet"].precision
    rate = (LARGE - SMALL) / (seconds[LARGE] - seconds[SMALL])
    loops = {what: sum(r[what] for r in rounds) / len(rounds) for what in rounds[0]}
    detail = {
        "cores": CORES,
        "precision": precision,
        "job_images_per_s": rate,
        "job_seconds": seconds,
        "plain_images_per_s": loops,
        "rounds": rounds,
        "ceiling_over_bare_sum": loops["ceiling"] * (1 / loops["decode"] + 1 / loops["forward"]),
    }
    return {"value": rate / loops["ceiling"], "unit": "ratio", "detail": detail}


def _plain(made: Project) -> dict[str, float]:
    """Measure the ceiling and its bare halves, all cores at once.

    With GPUs the halves run beside each other on different devices, so the slower one is the
    ceiling: decoding on all cores, or the forward pass of one process per GPU.
    """
    num_gpus = torch.cuda.device_count()
    decode = _rate(made, "decode", CORES)
    forward = _rate(made, "forward", num_gpus or CORES)
    ceiling = min(decode, forward) if num_gpus else _rate(made, "ceiling", CORES)
    return {"decode": decode, "forward": forward, "ceiling": ceiling}


def _rate(made: Project, what: str, num_processes: int) -> float:
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(num_processes), context.Queue()
    workers = [
        context.Process(target=_loop, args=(made, what, barrier, queue, number))
        for number in range(num_processes)
    ]
    for worker in workers:
        worker.start()
    spent = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    return sum(CEILING_IMAGES / seconds for seconds in spent)


def _loop(made: Project, what: str, barrier: Any, queue: Any, number: int) -> None:
    """Go through images in mini-batches: decode only, forward only, or both in turn."""
    os.environ["CUDA_VISIBLE_DEVICES"] = str(number)
    torch.set_num_threads(1)
    keep_freed_memory()
    extractors = list(Tables(made).extractors.values())
    network = next(e for e in extractors if e.is_network)
    by_value = tuple((e.name, e.settings) for e in extractors if not e.is_network)
    prepare = ImagePreparer(by_value, input_kinds([network]), made.engine.max_pixels)
    model = make_model(network, made.s3)
    paths = sorted(Path(made.images.path).iterdir())[:CEILING_IMAGES]
    size = made.engine.batch_size
    fixed = np.stack([prepare(p.read_bytes()).inputs[0] for p in paths[:size]])
    model(fixed)
    barrier.wait()
    start = time.perf_counter()
    for part in batches(np.array(paths), size):
        if what != "forward":
            images = np.stack([prepare(path.read_bytes()).inputs[0] for path in part])
        if what != "decode":
            model(images if what == "ceiling" else fixed)
    queue.put(time.perf_counter() - start)
