"""Mixed images keep their shape, and mixed labels their sum."""

import pytest
import torch

from wslabel.training.mixup import Mixup


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.2, 1.0)])
def test_images_and_labels_are_mixed_alike(mixup: float, cutmix: float) -> None:
    targets_NK = torch.eye(2)[[0, 1, 0, 1]]
    # Images of one brightness, which says what share of each label a mixture must have.
    images = (targets_NK[:, 1] * 255).to(torch.uint8)[:, None, None, None].expand(4, 8, 8, 3)
    torch.manual_seed(1)
    mixed, mixed_NK = Mixup(mixup, cutmix)(images, targets_NK)
    assert mixed.shape == images.shape
    assert torch.allclose(mixed_NK.sum(dim=1), torch.ones(4))
    assert torch.allclose(mixed.mean(dim=(1, 2, 3)), mixed_NK[:, 1], atol=1e-5)
