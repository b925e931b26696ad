"""Weight files: tensors by name, read without running code in them, and filled into networks."""

import mmap
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch

from wslabel.errors import WeightsError


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's tensors without running any code in it.

    Raises:
        WeightsError: the file holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        content: object = _loaded(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: expected a checkpoint of tensors alone; what else is in it may be code, "
            f"which is never run{_unsupported(error)}"
        ) from None
    except Exception as error:  # noqa: BLE001 - unpickling may raise anything; raised again
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(f"{path}: expected a checkpoint of tensors: {reason}") from None
    return _tensors(path, _unwrapped(content))


def _loaded(path: Path) -> object:
    """Read a checkpoint of torch so that it takes no more memory than the file is large.

    Raises:
        ValueError: it would take more.
    """
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"  # as torch tells them apart
        if not is_zip:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                _refuse_room(mapped)
            return torch.load(path, map_location="cpu", weights_only=True)
    reader = torch._C.PyTorchFileReader(str(path))
    unpacked, size = sum(map(reader.get_record_size, reader.get_all_records())), path.stat().st_size
    if unpacked > size:
        raise ValueError(
            f"its records unpack to {unpacked:,} bytes, and the file has {size:,}; expected them "
            "as torch.save writes them, not compressed"
        )
    _refuse_room(reader.get_record("data.pkl"))
    # Mapped, a record takes nothing more, by however many names it is called.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _refuse_room(pickled: bytes | mmap.mmap) -> None:
    """Refuse what torch lets pass and takes memory for nothing: zeros, as many as a number says."""
    if pickled.find(b"bytearray") >= 0:
        raise ValueError("it holds a bytearray")


def _unsupported(error: Exception) -> str:
    """Take what is in the way out of torch's text, which advises to run the code all the same."""
    lines = [line.partition(". ")[0] for line in str(error).splitlines()]
    found = [" ".join(line.split())[:100] for line in lines if "nsupported" in line]
    return f": {found[0]}" if found else ""


def _unwrapped(content: object) -> object:
    """Take the tensors out of what training programs keep around them."""
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return content


def _tensors(path: Path, state: object) -> dict[str, torch.Tensor]:
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
    """Fill a network from a checkpoint, except its last linear layer, if any, which may be another.

    Raises:
        WeightsError: any other tensor is missing or of another shape.
    """
    # What wslabel trained is kept with the name of the part behind the normalization of images.
    state = {k.removeprefix("network."): tensor for k, tensor in read_state(path).items()}
    own = module.state_dict()
    linear = [name for name, part in module.named_modules() if isinstance(part, torch.nn.Linear)]
    for key, tensor in own.items():
        if any(key.startswith(f"{last}.") for last in linear[-1:]):
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
        WeightsError: the normalizations were folded.
    """
    state = read_state(path)
    means = [tensor for name, tensor in state.items() if name.endswith("running_mean")]
    if means and not any(bool(mean.any()) for mean in means):
        raise WeightsError(
            f"{path}: its batch normalizations were folded into the convolutions (all running "
            "means are 0), which training would undo; set batch_norm: frozen"
        )


@contextmanager
def refusing_size(name: str, side: int) -> Iterator[None]:
    """Say that a network takes no images of a size, where it fails on a first one.

    Raises:
        WeightsError: It does.
    """
    try:
        yield
    except (RuntimeError, AssertionError, ValueError) as error:  # as networks refuse a size
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{name}: does not take images of {side} x {side} pixels (preprocess.crop): {reason}"
        ) from None
