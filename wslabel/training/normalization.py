"""Batch normalization in a group of workers: over the batch of all of them, or frozen.

On GPUs the statistics are taken by the libraries' own synchronized normalization. On CPUs torch has
none, so here each normalization is given a forward pass of ours, with the kernels that torch's own
uses and the same result but for rounding.

They differ in one thing. Where a batch has fewer images than there are workers, a worker without
any looks at one that counts nothing (`attend`). On CPUs this image is kept out of the statistics
too, so a group learns exactly what one worker learns. On GPUs it is part of the statistics of that
batch, though never of the loss.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from wslabel.training.worker_context import WorkerContext

Forward = Callable[[torch.Tensor], torch.Tensor]


def synced(network: torch.nn.Module, worker: WorkerContext) -> torch.nn.Module:
    """Let batch normalizations take their statistics over the batch of all workers."""
    if worker.world_size == 1:
        return network
    if worker.device.type != "cpu":
        from wslabel.networks import zoo  # noqa: PLC0415 - loads timm, which CPUs need not

        return zoo.synchronized(network)
    for norm in _normalizations(network):
        forward = partial(_forward, norm, norm.forward, worker.world_size)
        norm.forward = forward  # type: ignore[method-assign]
    return network


def attend(network: torch.nn.Module, *, is_present: bool) -> None:
    """Say whether what this worker sees counts in the statistics of the whole batch."""
    for norm in _normalizations(network):
        norm.is_present = is_present  # type: ignore[assignment]


def freeze(network: torch.nn.Module) -> None:
    """Keep batch normalizations at their running statistics, until `train` is called again."""
    for norm in _normalizations(network):
        norm.eval()


def _normalizations(network: torch.nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def _forward(
    norm: _BatchNorm, alone: Forward, world_size: int, values: torch.Tensor
) -> torch.Tensor:
    """Normalize over all workers in training; gradients are those of one worker on all of it."""
    if not norm.training:
        return alone(values)
    weight = norm.weight if norm.affine else torch.ones(values.shape[1], device=values.device)
    bias = norm.bias if norm.affine else None
    normalized, mean_C, variance_C, count = _Normalized.apply(
        values, weight, bias, norm.eps, world_size, getattr(norm, "is_present", True)
    )
    if norm.track_running_stats:
        _remember(norm, mean_C, variance_C * count / (count - 1))
    # timm's normalizations carry what comes after them.
    for after in ("drop", "act"):
        normalized = getattr(norm, after, _unchanged)(normalized)
    return torch.as_tensor(normalized)


class _Normalized(torch.autograd.Function):
    """Batch normalization over all workers, with torch's own kernels for the passes over images.

    What travels: count, mean and variance forward; the sums of the gradients, and of the gradients
    times the normalized images, backward.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        eps: float,
        world_size: int,
        is_present: bool,  # noqa: FBT001 - torch passes no keywords
    ) -> tuple[torch.Tensor, ...]:
        ctx.eps, ctx.world_size, ctx.is_present = eps, world_size, is_present
        width = values.shape[1]
        # Statistics come in the type of those they update, and half precision would lose them.
        unused = torch.zeros(2, width, device=values.device)
        mean_C, variance_C = torch.ops.aten.batch_norm_update_stats(values, *unused, 0.0)
        count = mean_C.new_full((1,), is_present * values.numel() / width)
        parts = _gather(torch.cat([count, mean_C, variance_C]), world_size)
        counts_W1, means_WC, variances_WC = torch.split(parts, [1, width, width], dim=1)
        count = counts_W1.sum(0)
        shares_W1 = counts_W1 / count
        mean_C = (shares_W1 * means_WC).sum(0)
        variance_C = (shares_W1 * (variances_WC + (means_WC - mean_C).square())).sum(0)
        ctx.save_for_backward(values, weight, mean_C, variance_C, count)
        normalized = batch_norm(values, mean_C, variance_C, weight, bias, eps=eps)
        ctx.mark_non_differentiable(mean_C, variance_C, count)
        return normalized, mean_C, variance_C, count

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, *_: torch.Tensor) -> tuple[Any, ...]:
        values, weight, mean_C, variance_C, count = ctx.saved_tensors
        scale_C = (variance_C + ctx.eps).rsqrt()
        _, along_C, own_C = torch.ops.aten.native_batch_norm_backward(
            gradient, values, weight, mean_C, variance_C, mean_C, scale_C,
            False, ctx.eps, [False, True, True],  # noqa: FBT003 - torch names them not
        )  # fmt: skip
        alongs_C, sums_C = _gather(torch.cat([along_C, own_C]), ctx.world_size).sum(0).chunk(2)
        # weight * scale * (gradient - mean of gradients - normalized * mean of those along it)
        steep_C = weight * scale_C
        passed = batch_norm(
            values, mean_C, variance_C, -steep_C * alongs_C / count, -steep_C * sums_C / count,
            eps=ctx.eps,
        )  # fmt: skip
        passed.addcmul_(gradient, steep_C.view(1, -1, *[1] * (values.ndim - 2)).to(passed.dtype))
        if not ctx.is_present:  # the statistics do not hang on what does not count
            passed.zero_()
        return passed, along_C, own_C if ctx.needs_input_grad[2] else None, None, None, None


def _gather(own: torch.Tensor, world_size: int) -> torch.Tensor:
    """Give what each worker has of a few numbers, [W, n]; quicker than gloo adds them up."""
    parts = own.new_empty(world_size * len(own))
    torch.distributed.all_gather_into_tensor(parts, own)
    return parts.view(world_size, -1)


def _unchanged(values: torch.Tensor) -> torch.Tensor:
    return values


@torch.no_grad()
def _remember(norm: _BatchNorm, mean_C: torch.Tensor, variance_C: torch.Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    momentum = norm.momentum
    if momentum is None:
        momentum = 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean_C, momentum)
    norm.running_var.lerp_(variance_C, momentum)
