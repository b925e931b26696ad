"""Run a network over uint8 batches, on the device there is, in the precision that was chosen."""

import math
import platform
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

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
LEAST_COMPARED = 32
"""Images whose outputs must agree, where there are as many."""

TIMED_SIZE = 16
TIMED_SECONDS = 1.0
"""Time that one precision is timed for, unless a single image takes longer."""

HOPELESS = 6.0
"""How much longer than in a float32 mini-batch an image may take alone."""

MOST_SECONDS = 10.0
LARGEST_SHARE = 0.01
"""What comparing outputs may take: seconds, or a share of the work on all images."""

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


class Choice(NamedTuple):
    """A precision, and whether it was chosen by what was measured, however many images there are.

    Attributes:
        precision: float32, bfloat16 or float16.
        is_measured: Whether it would be the same for any number of images.
    """

    precision: str
    is_measured: bool


def machine() -> list[object]:
    """Tell what the speed of a network hangs on: the kind of device and what computes on it."""
    if device().type == "cuda":
        kind = [torch.cuda.get_device_name(), *torch.cuda.get_device_capability()]
    else:
        kind = [
            platform.machine(),
            torch.backends.cpu.get_cpu_capability(),
            torch.get_num_threads(),
        ]
    return [*kind, lower_precisions(), torch.__version__]


def lower_precisions() -> list[str]:
    """List the precisions that may be faster than float32 here.

    CPUs have no fast float16 convolutions; without instructions for bfloat16 they imitate it, many
    times slower.
    """
    if device().type == "cuda":
        return ["bfloat16", "float16"]
    # An older torch cannot tell; measuring will.
    look_up = getattr(torch.cpu, "get_capabilities", lambda: {"bf16": True})
    return ["bfloat16"] if any("bf16" in name and has for name, has in look_up().items()) else []


def choose_precision(
    build: Callable[[str], Outputs],
    probe_NHW3: np.ndarray,
    *,
    size: int,
    num_images: int,
    lower: Sequence[str],
) -> Choice:
    """Measure a network here and take the fastest precision whose outputs agree with float32.

    It computes for about MOST_SECONDS at most, or LARGEST_SHARE of what all images will take.

    Args:
        build: gives the network's outputs in a precision.
        probe_NHW3: Real images.
        size: Images in a mini-batch.
        num_images: Images that the network will run over.
        lower: Precisions that may be faster than float32.

    Returns:
        A precision with a cosine of at least MIN_COSINE to float32 on every image and the same top
        output on a share of at least MIN_SAME_TOP_1.
    """
    few = probe_NHW3[: min(size, TIMED_SIZE)]
    exact = build("float32")
    slow = _seconds(exact, few, math.inf)
    budget = max(MOST_SECONDS, LARGEST_SHARE * num_images * slow)
    others = {name: build(name) for name in lower}
    seconds = {name: _seconds(run, few, slow) for name, run in others.items()}
    faster = sorted((s, name) for name, s in seconds.items() if s < slow)
    is_measured = True
    for fast, name in faster:
        num_compared = min(len(probe_NHW3), int(budget / (slow + fast)))
        is_enough = num_compared >= min(len(probe_NHW3), LEAST_COMPARED)
        if not is_enough or num_images * (slow - fast) <= num_compared * (slow + fast):
            is_measured = False  # of more images it would have been worth a look
            continue
        part = probe_NHW3[:num_compared]
        if agrees(_outputs(exact, part, size), _outputs(others[name], part, size)):
            return Choice(name, is_measured)
    return Choice("float32", is_measured)


def _outputs(run: Outputs, images_NHW3: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([run(batch) for batch in batches(images_NHW3, size)])


def agrees(exact_ND: np.ndarray, lower_ND: np.ndarray) -> bool:
    """Tell whether outputs in a lower precision can stand for those in float32."""
    norms = np.linalg.norm(exact_ND, axis=1) * np.linalg.norm(lower_ND, axis=1)
    cosines = (exact_ND * lower_ND).sum(axis=1) / np.maximum(norms, 1e-12)
    same = (exact_ND.argmax(axis=1) == lower_ND.argmax(axis=1)).mean()
    return bool(cosines.min() >= MIN_COSINE and same >= MIN_SAME_TOP_1)


def _seconds(run: Outputs, images_NHW3: np.ndarray, slow: float) -> float:
    """Time an image of a mini-batch; of what is much slower than `slow`, one alone is enough."""
    one = images_NHW3[:1]
    run(one)  # which makes what later runs use again
    single = _timed(run, one)
    if single > HOPELESS * slow:
        return single
    best, left = math.inf, TIMED_SECONDS
    images_NHW3 = images_NHW3[: max(1, int(TIMED_SECONDS / single))]
    for _ in range(4):
        took = _timed(run, images_NHW3)
        best, left = min(best, took / len(images_NHW3)), left - took
        if left <= 0.0:
            break
    return best


def _timed(run: Outputs, images_NHW3: np.ndarray) -> float:
    start = time.perf_counter()
    run(images_NHW3)
    return time.perf_counter() - start
