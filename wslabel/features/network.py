"""Run a network over uint8 batches, on the device there is, in the precision that was chosen."""

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wslabel.columns import batches
from wslabel.errors import WeightsError
from wslabel.settings import Preprocess

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
MIN_COSINE = 0.999
MIN_SAME_TOP_1 = 0.99
PROBE_SIZE = 128
TIMED_SIZE = 16

Outputs = dict[str, torch.Tensor]


def device() -> torch.device:
    """Name the device that this process may use."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint's tensors without running any code in it.

    Raises:
        WeightsError: the file holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - unpickling may raise anything; raised again
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: expected a checkpoint of tensors: {reason}") from None
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: expected tensors by name, found {type(state).__name__}")
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(f"{path}: '{name}' is no tensor but {type(tensor).__name__}")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def load_state(module: torch.nn.Module, path: Path, name: str) -> None:
    """Fill a network from a checkpoint that must fit it exactly.

    Raises:
        WeightsError: a tensor is missing, unexpected, or of another shape.
    """
    state, own = read_state(path), module.state_dict()
    for key in own:
        if key not in state:
            raise WeightsError(f"{path}: no tensor '{key}', which {name} needs")
        if state[key].shape != own[key].shape:
            raise WeightsError(
                f"{path}: tensor '{key}' is {tuple(state[key].shape)}, "
                f"{name} needs {tuple(own[key].shape)}"
            )
    for key in state:
        if key not in own:
            raise WeightsError(f"{path}: tensor '{key}' has no place in {name}")
    module.load_state_dict(state)


def load_body(module: torch.nn.Module, path: Path, name: str) -> None:
    """Fill a network from a checkpoint, except its last linear layer, which may be another.

    Raises:
        WeightsError: any other tensor is missing or of another shape.
    """
    head = [n for n, m in module.named_modules() if isinstance(m, torch.nn.Linear)][-1:]
    # What wslabel trained is kept with the name of the part behind the normalization of images.
    state = {k.removeprefix("network."): tensor for k, tensor in read_state(path).items()}
    own = module.state_dict()
    for key, tensor in own.items():
        if any(key.startswith(f"{n}.") for n in head):
            continue
        if key not in state or state[key].shape != tensor.shape:
            raise WeightsError(
                f"{path}: no tensor '{key}' of shape {tuple(tensor.shape)} for {name}"
            )
        own[key] = state[key]
    module.load_state_dict(own)


def refuse_folded(path: Path) -> None:
    """Refuse a checkpoint whose batch normalizations were folded into its convolutions.

    Its running means are all zero. What it computes then needs these very means: normalized by
    a batch's own, as training does, its features are lost and nothing is learned.

    Raises:
        WeightsError: so it is.
    """
    state = read_state(path)
    means = [tensor for name, tensor in state.items() if name.endswith("running_mean")]
    if means and not any(bool(mean.any()) for mean in means):
        raise WeightsError(
            f"{path}: its batch normalizations were folded into the convolutions (all running "
            "means are 0), which training would undo; set batch_norm: frozen"
        )


def fold_normalization(module: torch.nn.Module) -> None:
    """Fold each batch normalization into the convolution before it, in chains of layers.

    Outputs stay the same but for rounding. Only plain `Sequential`s are looked at, where it is sure
    that nothing else reads what the convolution gives. The
    arithmetic is that of `torch.nn.utils.fusion`.
    """
    for chain in module.modules():
        if type(chain).forward is not torch.nn.Sequential.forward:
            continue
        layers = list(chain.named_children())
        for (name, first), (next_name, second) in pairwise(layers):
            if type(first) is torch.nn.Conv2d and type(second) is torch.nn.BatchNorm2d:
                setattr(chain, name, fuse_conv_bn_eval(first, second))
                setattr(chain, next_name, torch.nn.Identity())


class Network:
    """A module that takes normalized images, fed with uint8 batches."""

    def __init__(self, module: torch.nn.Module, how: Preprocess, precision: str) -> None:
        self._device = device()
        self._dtype = PRECISIONS[precision]
        fold_normalization(module.eval())
        module = module.to(self._device, self._dtype)
        self._module = module.to(memory_format=torch.channels_last)
        scale = torch.tensor(how.std, dtype=torch.float32) * 255.0
        shift = torch.tensor(how.mean, dtype=torch.float32) * 255.0
        self._scale = scale.view(1, 3, 1, 1).to(self._device)
        self._shift = shift.view(1, 3, 1, 1).to(self._device)

    @torch.inference_mode()
    def __call__(self, images_NHW3: np.ndarray) -> Any:
        """Run one batch; images travel as bytes and are normalized on the device."""
        host = torch.from_numpy(images_NHW3)
        if self._device.type == "cuda":
            host = host.pin_memory()
        # Transposing NHWC gives exactly torch's channels_last layout, without a copy.
        images = host.to(self._device, non_blocking=True).permute(0, 3, 1, 2).float()
        normalized = (images - self._shift) / self._scale
        return self._module(normalized.to(self._dtype))

    def synchronize(self) -> None:
        """Wait until the device has finished."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def candidates() -> list[str]:
    """List the precisions worth measuring here; CPUs have no fast float16 convolutions."""
    return (
        ["float32", "bfloat16", "float16"] if torch.cuda.is_available() else ["float32", "bfloat16"]
    )


def choose_precision(
    make: Callable[[str], Callable[[np.ndarray], np.ndarray]], probe_NHW3: np.ndarray, size: int
) -> str:
    """Measure the model here and take the fastest precision whose outputs agree with float32.

    Args:
        make: gives the model's embedding or logits in a precision, as float32 [n, d].
        probe_NHW3: real images, up to PROBE_SIZE.
        size: of a mini-batch.

    Returns:
        A precision with cosine of at least MIN_COSINE to float32 on every image and the same top
        output on a share of at least MIN_SAME_TOP_1.
    """
    runs = {"float32": make("float32")}
    few = probe_NHW3[: min(size, TIMED_SIZE)]
    timed = {"float32": _seconds(runs["float32"], few)}
    for name in candidates():
        if name not in runs:
            runs[name] = make(name)
            timed[name] = _seconds(runs[name], few)
    faster = [
        name for name in sorted(timed, key=timed.__getitem__) if timed[name] < timed["float32"]
    ]
    if not faster:
        return "float32"
    exact = _all(runs["float32"], probe_NHW3, size)
    for name in faster:
        if agrees(exact, _all(runs[name], probe_NHW3, size)):
            return name
    return "float32"


def _all(run: Callable[[np.ndarray], np.ndarray], images_NHW3: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([run(batch) for batch in batches(images_NHW3, size)])


def agrees(exact_ND: np.ndarray, found_ND: np.ndarray) -> bool:
    """Tell whether outputs in a lower precision can stand for those in float32."""
    norms = np.linalg.norm(exact_ND, axis=1) * np.linalg.norm(found_ND, axis=1)
    cosines = (exact_ND * found_ND).sum(axis=1) / np.maximum(norms, 1e-12)
    same = (exact_ND.argmax(axis=1) == found_ND.argmax(axis=1)).mean()
    return bool(cosines.min() >= MIN_COSINE and same >= MIN_SAME_TOP_1)


def _seconds(run: Callable[[np.ndarray], np.ndarray], images_NHW3: np.ndarray) -> float:
    run(images_NHW3)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run(images_NHW3)
        times.append(time.perf_counter() - start)
    return min(times)
