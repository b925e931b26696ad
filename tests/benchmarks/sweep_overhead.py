"""What a sweep costs above the same trainings called one after another in one process.

`value` is in seconds per trial, of eight trials of a linear head; `detail.ratio` is the same as a
ratio for four trainings of about a minute each. The trials of a sweep run at once as far as there
are CPUs; the trainings of the process one after another on one thread.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.training import project
from wslabel.project.loading import load
from wslabel.stages.train.runs import training_run
from wslabel.stages.train.workspace_models import WorkspaceModels
from wslabel.training.local import train_here
from wslabel.workspace.workspace import Workspace

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from wslabel.cli import main; main()"
RATES = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008]


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        small = _both(Path(name) / "small", _linear(Path(name) / "small"), RATES)
        large = _both(Path(name) / "large", _cnn(Path(name) / "large"), RATES[:4])
    detail = {
        "sweep_s": small["sweep"],
        "trainings_s": small["trainings"],
        "ratio": large["sweep"] / large["trainings"],
        "long_sweep_s": large["sweep"],
        "long_trainings_s": large["trainings"],
    }
    value = (small["sweep"] - small["trainings"]) / len(RATES)
    return {"value": value, "unit": "s per trial", "detail": detail}


def _linear(folder: Path) -> Path:
    """Write the demo's project up to its labels."""
    demo = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    folder.mkdir()
    (folder / "demo").symlink_to(ROOT / "configs" / "demo")
    demo |= {"workspace": str(folder / "ws")}
    demo["training"] |= {"labels": "soft", "validate_on": "weak"}
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump(demo))
    subprocess.run(
        [sys.executable, "-c", COMMAND, "run", str(path), "--until", "label"],
        check=True,
        stdout=sys.stderr,
    )
    return path


def _cnn(folder: Path) -> Path:
    training = {"network": "cnn", "preprocess": {"resize": 64, "crop": 64}, "epochs": 6}
    project(folder, 2000, training | {"validate_on": "truth"})
    return folder / "p.yaml"


def _both(folder: Path, path: Path, rates: list[float]) -> dict[str, float]:
    """Train with each learning rate in one process, then in a sweep in a workspace of its own."""
    raw = yaml.safe_load(path.read_text())
    begun = time.perf_counter()
    for rate in rates:
        changed = raw | {"training": raw["training"] | {"learning_rate": rate * 1.01}}
        (folder / "one.yaml").write_text(yaml.safe_dump(changed))
        workspace = Workspace(load(folder / "one.yaml"))
        (network,) = workspace.networks.values()
        store = WorkspaceModels(workspace.location)
        train_here([training_run(workspace, network)], store, lambda event: None)
    trainings = time.perf_counter() - begun
    search = {"training.learning_rate": {"grid": rates}}
    config = {"project": path.name, "search": search, "metric": "loss"}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(config))
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", COMMAND, "sweep", str(folder / "sweep.yaml"), "--json"],
        check=True,
        stdout=subprocess.PIPE,
    )
    return {"sweep": time.perf_counter() - begun, "trainings": trainings}
