"""Losses of logits against labels: pure functions of tensors, one number per image."""

import math

import torch


def cross_entropy(logits_NK: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
    """Give -sum_k target_k log softmax(logits)_k of each image.

    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])).item()
    0.6931471824645996
    """
    return -(targets_NK * logits_NK.float().log_softmax(dim=1)).sum(dim=1)


def binary_cross_entropy(logits_NK: torch.Tensor, targets_NK: torch.Tensor) -> torch.Tensor:
    """Give the mean over an image's known classes of each class's own cross-entropy.

    A target of NaN is unknown and counts nothing; an image all unknown gives 0.

    >>> binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, float("nan")]])).item()
    0.6931471824645996
    """
    known_NK = ~targets_NK.isnan()
    losses_NK = torch.nn.functional.binary_cross_entropy_with_logits(
        logits_NK.float(), targets_NK.nan_to_num(0.0), reduction="none"
    )
    return (losses_NK * known_NK).sum(dim=1) / known_NK.sum(dim=1).clamp(min=1)


def is_sure(logits_NK: torch.Tensor, threshold: float) -> torch.Tensor:
    """Tell for which images the network's own highest probability reaches a threshold."""
    return logits_NK.detach().float().softmax(dim=1).amax(dim=1) >= threshold


def kl_consistency(first_NK: torch.Tensor, second_NK: torch.Tensor) -> torch.Tensor:
    """Give KL(p1 || p2) + KL(p2 || p1), halved, of the answers to two views of each image."""
    first, second = (logits.float().log_softmax(dim=1) for logits in (first_NK, second_NK))
    return 0.5 * ((first.exp() - second.exp()) * (first - second)).sum(dim=1)


def mse_consistency(first_NK: torch.Tensor, second_NK: torch.Tensor) -> torch.Tensor:
    """Give the mean squared difference of the probabilities for two views of each image."""
    return (first_NK.float().softmax(dim=1) - second_NK.float().softmax(dim=1)).square().mean(dim=1)


def ramp_up(progress: float) -> float:
    """Give exp(-5 (1 - t)^2), from almost nothing at t = 0 to 1 (Laine and Aila 2017).

    >>> round(ramp_up(0.0), 4), ramp_up(1.0)
    (0.0067, 1.0)
    """
    return math.exp(-5.0 * (1.0 - min(1.0, max(0.0, progress))) ** 2)


def nt_xent(
    own_VND: torch.Tensor, all_MD: torch.Tensor, first: int, temperature: float
) -> torch.Tensor:
    """Give SimCLR's loss of each of a worker's images, over both its views.

    The normalized temperature-scaled cross-entropy of Chen et al. 2020: the other view of the same
    image is to be the nearest among all other views of the batch.

    Args:
        own_VND: Two views of this worker's images, [2, n, D].
        all_MD: All views of all workers' images: M = 2 x images, first views before second ones.
        first: Index of this worker's first image among all.
        temperature: Divides the cosines.
    """
    count, total = own_VND.shape[1], len(all_MD) // 2
    own_VND = torch.nn.functional.normalize(own_VND.float(), dim=2)
    all_MD = torch.nn.functional.normalize(all_MD.float(), dim=1)
    losses = []
    rows = torch.arange(first, first + count, device=all_MD.device)
    with torch.autocast(all_MD.device.type, enabled=False):  # three digits of a cosine are too few
        for view in range(2):
            similarities_NM = own_VND[view] @ all_MD.T / temperature
            itself = (rows + view * total)[:, None]
            similarities_NM = similarities_NM.scatter(1, itself, float("-inf"))
            other = rows + (1 - view) * total
            losses.append(
                torch.nn.functional.cross_entropy(similarities_NM, other, reduction="none")
            )
    return torch.stack(losses).mean(dim=0)
