"""Arrays arrive where a worker computes."""

import numpy as np
import torch

from wslabel.training.objectives import to_device
from wslabel.training.worker_context import WorkerContext


def test_arrays_of_any_layout_arrive_as_they_are() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    tensor = to_device(array, WorkerContext())
    assert tensor.device.type == "cpu"
    assert torch.equal(tensor, torch.tensor(array.tolist()))
