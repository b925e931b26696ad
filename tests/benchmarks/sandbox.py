"""Images prepared per second where strangers' bytes are decoded in a sandbox, over those without.

The same photos through the same preparation (color, a thumbnail, the input of a network), on one
processor: decoded in this process, and in one that is locked down. The two take turns, portion by
portion, and of each portion the fastest turn counts; so what else the machine does falls out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.data import jpegs
from wslabel.config.preprocess import Preprocess
from wslabel.engine.memory import ENVIRONMENT
from wslabel.features.color import ColorConfig
from wslabel.features.decode import Decoded, Undecodable, decode
from wslabel.features.decoder import MOST_AT_ONCE, Decoder
from wslabel.features.thumbnail import ThumbnailConfig
from wslabel.stages.featurize.prepare import ImagePreparer

MAX_PIXELS = 178_956_970
SIZES = {"small": (320, 240), "photo": (1024, 768)}
TURNS = {"small": 40, "photo": 15}


class Here(Decoder):
    """Decodes in this process."""

    def all(self, images: Sequence[bytes]) -> list[Decoded | Undecodable]:
        return [decode(data, self.max_pixels) for data in images]


def measure() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.sandbox"]
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, check=True)
    ratios = json.loads(done.stdout)
    return {"value": min(ratios.values()), "unit": "ratio", "detail": ratios}


def main() -> None:
    """Measure in a process that keeps its memory, as workers do, and has one processor."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    safe = Decoder(MAX_PIXELS, 60.0, "required")
    assert not safe.weakness
    ratios = {}
    with tempfile.TemporaryDirectory() as name:
        for what, size in SIZES.items():
            folder = jpegs(Path(name) / what, 48, size)
            images = [path.read_bytes() for path in sorted(folder.iterdir())]
            ratios[what] = _ratio(safe, images, TURNS[what])
    print(json.dumps(ratios))


def _ratio(safe: Decoder, images: list[bytes], turns: int) -> float:
    features = (("c", ColorConfig(kind="color")), ("t", ThumbnailConfig(kind="thumbnail")))
    inputs = (Preprocess(resize=256, crop=224, interpolation="bicubic"),)
    ways = [ImagePreparer(features, inputs, d) for d in (Here(MAX_PIXELS, 60.0), safe)]
    parts = [images[at : at + MOST_AT_ONCE] for at in range(0, len(images), MOST_AT_ONCE)]
    fastest = np.full((2, len(parts)), np.inf)
    for turn in range(turns):
        for number, part in enumerate(parts):
            for way in (0, 1) if turn % 2 else (1, 0):
                start = time.perf_counter()
                list(ways[way].all(part))
                took = time.perf_counter() - start
                fastest[way, number] = min(fastest[way, number], took)
    here_s, safe_s = fastest.sum(axis=1)
    return float(here_s / safe_s)


if __name__ == "__main__":
    main()
