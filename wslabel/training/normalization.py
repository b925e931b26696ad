"""Batch normalization in a group of workers: over the batch of all of them, or frozen."""

from functools import partial
from typing import Any

import torch
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from wslabel.training.group import Place


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
    normalized, mean_C, variance_C, count = _Normalized.apply(
        values, norm.weight, norm.bias, norm.eps, world_size
    )
    _remember(norm, mean_C, variance_C * count / (count - 1))
    # timm's normalizations carry what comes after them.
    for after in ("drop", "act"):
        normalized = getattr(norm, after, _same)(normalized)
    return torch.as_tensor(normalized)


class _Normalized(torch.autograd.Function):
    """Batch normalization over all workers, with torch's own kernels for the passes over images.

    Only sums travel: count, sum and sum of squares forward; of the gradients, and of the gradients
    times the normalized images, backward.
    """

    @staticmethod
    def forward(ctx: Any, values: Any, weight: Any, bias: Any, eps: float, world_size: int) -> Any:
        width = values.shape[1]
        # Statistics come in the type of those they update, and half precision would lose them.
        unused = torch.zeros(2, width, device=values.device)
        mean_C, variance_C = torch.ops.aten.batch_norm_update_stats(values, *unused, 0.0)
        count = mean_C.new_full((1,), values.numel() / width)
        squares_C = (variance_C + mean_C.square()) * count
        parts = _total(torch.cat([count, mean_C * count, squares_C]), world_size)
        count, sums_C, squares_C = torch.split(parts, [1, width, width])
        mean_C = sums_C / count
        variance_C = (squares_C / count - mean_C.square()).clamp(min=0)
        ctx.save_for_backward(values, weight, mean_C, variance_C, count)
        ctx.eps, ctx.world_size = eps, world_size
        normalized = batch_norm(values, mean_C, variance_C, weight, bias, eps=eps)
        ctx.mark_non_differentiable(mean_C, variance_C, count)
        return normalized, mean_C, variance_C, count

    @staticmethod
    def backward(ctx: Any, gradient: Any, *_: Any) -> Any:
        values, weight, mean_C, variance_C, count = ctx.saved_tensors
        scale_C = (variance_C + ctx.eps).rsqrt()
        _, along_C, own_C = torch.ops.aten.native_batch_norm_backward(
            gradient, values, weight, mean_C, variance_C, mean_C, scale_C,
            False, ctx.eps, [False, True, True],  # noqa: FBT003 - torch names them not
        )  # fmt: skip
        alongs_C, sums_C = _total(torch.cat([along_C, own_C]), ctx.world_size).chunk(2)
        # weight * scale * (gradient - mean of gradients - normalized * mean of those along it)
        steep_C = weight * scale_C
        passed = batch_norm(
            values, mean_C, variance_C, -steep_C * alongs_C / count, -steep_C * sums_C / count,
            eps=ctx.eps,
        )  # fmt: skip
        passed.addcmul_(gradient, steep_C.view(1, -1, *[1] * (values.ndim - 2)).to(passed.dtype))
        return passed, along_C, own_C, None, None


def _total(sums: torch.Tensor, world_size: int) -> torch.Tensor:
    # Of a few numbers, gloo gathers all in a quarter of the time that it takes to add them up.
    parts = sums.new_empty(world_size * len(sums))
    torch.distributed.all_gather_into_tensor(parts, sums)
    return parts.view(world_size, -1).sum(0)


def _same(values: torch.Tensor) -> torch.Tensor:
    return values


@torch.no_grad()
def _remember(norm: Any, mean_C: torch.Tensor, variance_C: torch.Tensor) -> None:
    norm.num_batches_tracked += 1
    momentum = norm.momentum or 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean_C, momentum)
    norm.running_var.lerp_(variance_C, momentum)
