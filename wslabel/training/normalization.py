"""Batch normalization in a group of workers: over the batch of all of them, or frozen."""

from functools import partial
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from wslabel.training.group import Place, total


def synced(module: torch.nn.Module, place: Place) -> torch.nn.Module:
    """Let batch normalizations take their statistics over the batch of all workers."""
    if place.world_size == 1:
        return module
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            # torch's own synchronized normalization refuses CPUs, and drops what timm's carry.
            norm.forward = partial(_forward, norm, norm.forward, place.world_size)  # type: ignore[method-assign]
    return module


def freeze(module: torch.nn.Module) -> None:
    """Keep batch normalizations at their running statistics, for as long as `train` says so."""
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            norm.eval()


def _forward(norm: Any, alone: Any, world_size: int, values: torch.Tensor) -> torch.Tensor:
    """Normalize over all workers in training; gradients are those of one worker on all of it."""
    if not norm.training:
        evaluated: torch.Tensor = alone(values)
        return evaluated
    axes = [0, *range(2, values.ndim)]
    shape = [1, -1, *[1] * (values.ndim - 2)]
    exact = values.float()
    count = exact.new_full((1,), values.numel() / values.shape[1])
    parts = torch.cat([count, exact.sum(axes), exact.square().sum(axes)])
    width = values.shape[1]
    count, sums_C, squares_C = torch.split(total(parts, world_size), [1, width, width])
    mean_C = sums_C / count
    variance_C = squares_C / count - mean_C.square()
    _remember(norm, mean_C.detach(), (variance_C * count / (count - 1)).detach())
    scale_C = norm.weight * (variance_C + norm.eps).rsqrt()
    shift_C = norm.bias - mean_C * scale_C
    normalized = (exact * scale_C.view(shape) + shift_C.view(shape)).to(values.dtype)
    # timm's normalizations carry what comes after them.
    for after in ("drop", "act"):
        normalized = getattr(norm, after, _same)(normalized)
    return torch.as_tensor(normalized)


def _same(values: torch.Tensor) -> torch.Tensor:
    return values


@torch.no_grad()
def _remember(norm: Any, mean_C: torch.Tensor, variance_C: torch.Tensor) -> None:
    norm.num_batches_tracked += 1
    momentum = norm.momentum or 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean_C, momentum)
    norm.running_var.lerp_(variance_C, momentum)
