"""The GPUs that this process may use: those it was given, and no others.

A driver sees all GPUs of its machine, and so do workers that reserved none: Ray sets what a process
sees only where it gives it some. Without a rule, each of them would open a context on the first.
"""

import os
from collections.abc import Sequence

GIVEN = "WSLABEL_GPUS"


def keep_to(gpus: Sequence[str]) -> None:
    """Let this process use the GPUs that it was given, and see none where it was given none."""
    os.environ[GIVEN] = ",".join(gpus)
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def has_gpu() -> bool:
    """Tell whether this process was given a GPU."""
    return bool(os.environ.get(GIVEN))
