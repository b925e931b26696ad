"""Mix images of a batch with one another, and their labels with them; the door to torchvision's."""

from dataclasses import dataclass

import torch
from torchvision.transforms import v2


@dataclass(frozen=True)
class Mixup:
    """MixUp (Zhang et al. 2018), CutMix (Yun et al. 2019), or one of both at random.

    Attributes:
        mixup: Alpha of MixUp; 0 for none.
        cutmix: Alpha of CutMix; 0 for none.
    """

    mixup: float
    cutmix: float

    def __call__(
        self, images_NHW3: torch.Tensor, targets_NK: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix uint8 images, which become float in 0..1, and labels as probabilities."""
        kinds = ((v2.MixUp, self.mixup), (v2.CutMix, self.cutmix))
        mixers = [kind(alpha=alpha) for kind, alpha in kinds if alpha]
        planes = images_NHW3.permute(0, 3, 1, 2).float() / 255.0
        mixed, mixed_NK = v2.RandomChoice(mixers)(planes, targets_NK)
        return mixed.permute(0, 2, 3, 1), mixed_NK
