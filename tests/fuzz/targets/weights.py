"""A weights file, by its first byte safetensors or torch's own: a filled network, or a refusal."""

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Iterator

import safetensors.torch
import torch

from tests.fuzz import trees
from tests.fuzz.refusals import scratch, see_that_it_is_clear
from tests.hostile.damage import damaged
from wslabel.errors import WslabelError
from wslabel.networks.weights import load_body, load_state, refuse_folded

READS = ("wslabel", "torch._weights_only_unpickler", "torch.serialization")
WORDS = (b"__metadata__", b'"dtype":"F32"', b'"BF16"', b'"F8_E4M3"', b'"shape":[',
         b'"data_offsets":[', b"data.pkl", b"PK\x03\x04", b"ctorch._utils\n_rebuild_tensor_v2\n",
         b"cposix\nsystem\n", b"state_dict", b"model", b"running_mean")  # fmt: skip

FOLDER = scratch()
NAMES = ("w.safetensors", "w.pt")
DTYPES = ("F32", "F64", "F16", "BF16", "I8", "U8", "I64", "BOOL", "F8_E4M3", "F4", "C64")


def _network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))


def one_input(data: bytes) -> None:
    path = FOLDER / NAMES[(data[0] if data else 0) % len(NAMES)]
    path.write_bytes(data[1:])
    for read in (load_state, load_body):
        try:
            read(_network(), path, "tiny")
            refuse_folded(path)
        except WslabelError as error:
            see_that_it_is_clear(error)


def seeds() -> Iterator[bytes]:
    state = _network().state_dict()
    yield b"\0" + safetensors.torch.save(state)
    yield b"\0" + safetensors.torch.save(state, {"made": "by hand"})
    for content in (state, {"state_dict": {f"module.{k}": v for k, v in state.items()}}, [1]):
        sink = io.BytesIO()
        torch.save(content, sink)
        yield b"\1" + sink.getvalue()
    sink = io.BytesIO()
    torch.save(state, sink, _use_new_zipfile_serialization=False)
    yield b"\1" + sink.getvalue()
    yield b"\1" + pickle.dumps(state["1.bias"].numpy())


def mutated(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return data[:1] + damaged(data[1:], rng)
    spoil = _header if data[:1] == b"\0" else _pickle
    return data[:1] + spoil(data[1:], rng)


def _header(data: bytes, rng: random.Random) -> bytes:
    """Change what the header of a safetensors file says, and its length with it."""
    (size,) = struct.unpack("<Q", data[:8])
    header = trees.damaged(json.loads(data[8 : 8 + size]), rng, DTYPES)
    spelled = json.dumps(header).encode()
    return struct.pack("<Q", len(spelled)) + spelled + data[8 + size :]


def _pickle(data: bytes, rng: random.Random) -> bytes:
    """Damage one member of a zip file and pack it anew, with the checksums that it needs."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w") as new:
        names = old.namelist()
        spoiled = next((n for n in names if n.endswith("data.pkl")), names[0])
        if rng.random() < 0.3:
            spoiled = rng.choice(names)
        for name in names:
            content = old.read(name)
            new.writestr(name, damaged(content, rng) if name == spoiled else content)
    return sink.getvalue()
