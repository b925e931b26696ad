"""A precision by its name, on a machine without a GPU."""

import pytest
import torch

from wslabel.training.mixed_precision import mixed_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_a_network_computes_in_the_precision_chosen(name: str, dtype: torch.dtype) -> None:
    precision = mixed_precision(name, CPU)
    assert precision.dtype == dtype
    with precision.autocast():
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
    assert not precision.scaler().is_enabled()
