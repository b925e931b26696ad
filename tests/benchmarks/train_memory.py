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
TRAINING = {
    "network": "cnn",
    "preprocess": {"resize": 64, "crop": 64},
    "epochs": 1,
    "batch_size": 64,
}
TRAIN = """
import json, resource, sys
from wslabel.examples.decoded_images import DecodedImages
from wslabel.project.loading import load
from wslabel.stages.train.workspace_models import WorkspaceModels
from wslabel.stages.train.runs import training_run
from wslabel.training.local import train_here
from wslabel.workspace.workspace import Workspace
workspace = Workspace(load(sys.argv[1]))
(network,) = workspace.networks.values()
run = training_run(workspace, network, DecodedImages(0))
train_here([run], WorkspaceModels(workspace.location), lambda event: None)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


def measure() -> dict[str, Any]:
    peaks = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            project(Path(name), count, TRAINING)
            found = subprocess.run(
                [sys.executable, "-c", TRAIN, str(Path(name) / "p.yaml")],
                check=True,
                stdout=subprocess.PIPE,
            )
            peaks[count] = json.loads(found.stdout)
    detail = {"peak_mib": peaks, "over_10000": peaks[20_000] / peaks[10_000]}
    return {"value": peaks[20_000] / peaks[2_000], "unit": "ratio", "detail": detail}
