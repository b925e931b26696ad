"""Run a network over uint8 batches, on the device there is, in the precision that was chosen."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wslabel.columns import batches
from wslabel.config.preprocess import Preprocess
from wslabel.engine.gpus import has_gpu

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
MIN_COSINE = 0.999
MIN_SAME_TOP_1 = 0.99
PROBE_SIZE = 128
TIMED_SIZE = 16

Outputs = Callable[[np.ndarray], np.ndarray]
"""Turns uint8 images into a network's embeddings or logits, float32 [n, d]."""


def device() -> torch.device:
    """Name the device that this process may use: a GPU only where it was given one."""
    return torch.device("cuda" if has_gpu() and torch.cuda.is_available() else "cpu")


def fold_normalization(module: torch.nn.Module) -> None:
    """Fold each batch normalization into the convolution before it, in chains of layers.

    Outputs stay the same but for rounding. Only plain `Sequential`s are looked at, where it is sure
    that nothing else reads what the convolution gives. The arithmetic is that of
    `torch.nn.utils.fusion`.
    """
    for chain in module.modules():
        if type(chain).forward is not torch.nn.Sequential.forward:
            continue
        layers = list(chain.named_children())
        for (name, first), (next_name, second) in pairwise(layers):
            if type(first) is torch.nn.Conv2d and type(second) is torch.nn.BatchNorm2d:
                setattr(chain, name, fuse_conv_bn_eval(first, second))
                setattr(chain, next_name, torch.nn.Identity())


class ImageNetwork:
    """A module that takes normalized images, fed with uint8 batches."""

    def __init__(self, module: torch.nn.Module, preprocess: Preprocess, precision: str) -> None:
        self._device = device()
        self._dtype = PRECISIONS[precision]
        fold_normalization(module.eval())
        module = module.to(self._device, self._dtype)
        self._module = module.to(memory_format=torch.channels_last)
        scale = torch.tensor(preprocess.std, dtype=torch.float32) * 255.0
        shift = torch.tensor(preprocess.mean, dtype=torch.float32) * 255.0
        self._scale = scale.view(1, 3, 1, 1).to(self._device)
        self._shift = shift.view(1, 3, 1, 1).to(self._device)

    @torch.inference_mode()
    def __call__(self, images_NHW3: np.ndarray) -> Any:
        """Run one batch and give what the module gives: a tensor, or several.

        Images travel as bytes and are normalized on the device.
        """
        host = torch.from_numpy(images_NHW3)
        if self._device.type == "cuda":
            host = host.pin_memory()
        # Transposing NHWC gives exactly torch's channels_last layout, without a copy.
        images = host.to(self._device, non_blocking=True).permute(0, 3, 1, 2).float()
        normalized = (images - self._shift) / self._scale
        return self._module(normalized.to(self._dtype))


def choose_precision(build: Callable[[str], Outputs], probe_NHW3: np.ndarray, size: int) -> str:
    """Measure a network here and take the fastest precision whose outputs agree with float32.

    Args:
        build: gives the network's outputs in a precision.
        probe_NHW3: real images, up to PROBE_SIZE.
        size: Images in a mini-batch.

    Returns:
        A precision with a cosine of at least MIN_COSINE to float32 on every image and the same top
        output on a share of at least MIN_SAME_TOP_1.
    """
    outputs = {name: build(name) for name in _candidates()}
    few = probe_NHW3[: min(size, TIMED_SIZE)]
    seconds = {name: _seconds(run, few) for name, run in outputs.items()}
    faster = [name for name in seconds if seconds[name] < seconds["float32"]]
    if not faster:
        return "float32"
    exact_ND = _outputs(outputs["float32"], probe_NHW3, size)
    for name in sorted(faster, key=seconds.__getitem__):
        if agrees(exact_ND, _outputs(outputs[name], probe_NHW3, size)):
            return name
    return "float32"


def _candidates() -> list[str]:
    """List the precisions worth measuring here; CPUs have no fast float16 convolutions."""
    if device().type == "cuda":
        return ["float32", "bfloat16", "float16"]
    return ["float32", "bfloat16"]


def _outputs(run: Outputs, images_NHW3: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([run(batch) for batch in batches(images_NHW3, size)])


def agrees(exact_ND: np.ndarray, lower_ND: np.ndarray) -> bool:
    """Tell whether outputs in a lower precision can stand for those in float32."""
    norms = np.linalg.norm(exact_ND, axis=1) * np.linalg.norm(lower_ND, axis=1)
    cosines = (exact_ND * lower_ND).sum(axis=1) / np.maximum(norms, 1e-12)
    same = (exact_ND.argmax(axis=1) == lower_ND.argmax(axis=1)).mean()
    return bool(cosines.min() >= MIN_COSINE and same >= MIN_SAME_TOP_1)


def _seconds(run: Outputs, images_NHW3: np.ndarray) -> float:
    run(images_NHW3)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run(images_NHW3)
        times.append(time.perf_counter() - start)
    return min(times)
