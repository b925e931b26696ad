"""Peak memory of a training worker on 20,000 thumbnails over that on 2,000.

A worker holds the stored thumbnails of its part of two windows of 32 pieces of shards: of 4,096
images, so it grows a little until both are full and no more; `detail` has 10,000 images, too. The
store of decoded images, which grows up to a bound of its own, is switched off.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.training import project

COUNTS = (2_000, 10_000, 20_000)
HOW = {"network": "cnn", "preprocess": {"resize": 64, "crop": 64}, "epochs": 1, "batch_size": 64}
TRAIN = """
import json, resource, sys
from wslabel.steps import examples
from wslabel.config import load
from wslabel.steps.tables import Tables
from wslabel.steps.train import ModelHome, training_run
from wslabel.training.trainer import train_all_here
examples.KEPT_BYTES = 0
tables = Tables(load(sys.argv[1]))
(network,) = tables.networks.values()
train_all_here([training_run(tables, network)], ModelHome(tables.location), lambda news: None)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


def measure() -> dict[str, Any]:
    peaks = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            project(Path(name), count, HOW)
            found = subprocess.run(
                [sys.executable, "-c", TRAIN, str(Path(name) / "p.yaml")],
                check=True,
                stdout=subprocess.PIPE,
            )
            peaks[count] = json.loads(found.stdout)
    detail = {"peak_mib": peaks, "over_10000": peaks[20_000] / peaks[10_000]}
    return {"value": peaks[20_000] / peaks[2_000], "unit": "ratio", "detail": detail}
