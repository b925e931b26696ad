"""In which precision a network computes while it is trained."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from wslabel.networks.inference import PRECISIONS


@dataclass(frozen=True)
class MixedPrecision:
    """A device, and the type that networks compute in on it; weights stay float32."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[object]:
        """Compute in this precision within the context."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Make what keeps gradients of float16 from vanishing; idle in any other precision."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)


def mixed_precision(name: str, device: torch.device) -> MixedPrecision:
    """Look a precision up by its name."""
    return MixedPrecision(device, PRECISIONS[name])
