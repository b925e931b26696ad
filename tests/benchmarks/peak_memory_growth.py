"""Peak memory of driver and workers while featurizing many images over that for few.

Memory is the sum of proportional set sizes over the whole family of processes, so the object store
and other shared pages count once.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.data import efficientnet, jpegs, project

FEW, MANY = 2000, 20000
SIZE = (320, 240)
COMMAND = "from wslabel.cli import main; main()"


def measure() -> dict[str, Any]:
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        weights = efficientnet(root / "b0.pth")
        for count in (FEW, MANY):
            images = jpegs(root / f"images{count}", count, SIZE)
            project(root / f"p{count}", images, weights)
            peaks[count] = _peak(root / f"p{count}" / "project.yaml")
    detail = {"peak_mib": peaks, "images_px": SIZE}
    return {"value": peaks[MANY] / peaks[FEW], "unit": "ratio", "detail": detail}


def _peak(config: Path) -> float:
    arguments = ["run", str(config), "--until", "featurize"]
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], stdout=sys.stderr)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _family_pss(process.pid) / 2**20)
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"peak_memory_growth: the run ended with {process.returncode}")
    return peak


def _family_pss(pid: int) -> int:
    total = 0
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total
