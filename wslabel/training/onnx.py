"""Trained networks for other runtimes; the door to ONNX."""

import logging

import torch

from wslabel.config.extras import absence
from wslabel.errors import ConfigError
from wslabel.networks.factory import Builder
from wslabel.networks.trained import deserialize, probabilities

OPSET = 18


class _Deployed(torch.nn.Module):
    """A network that gives probabilities, as `wslabel predict` does."""

    def __init__(self, network: torch.nn.Module, *, per_class: bool) -> None:
        super().__init__()
        self.network = network
        self._per_class = per_class

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return probabilities(self.network(inputs), per_class=self._per_class)


def refuse_without_onnx() -> None:
    """Refuse to export where the packages that torch needs for it are absent.

    Raises:
        ConfigError: One of them is.
    """
    sentence = absence("onnx")
    if sentence is not None:
        raise ConfigError(sentence)


def to_onnx(build: Builder, data: bytes, example: torch.Tensor, *, per_class: bool) -> bytes:
    """Turn a network's safetensors file into an ONNX model of any batch size.

    Its input `inputs` is what the network reads (uint8 images [n, h, w, 3], or embeddings); its
    output `probabilities` is float32 [n, K].

    Args:
        build: Builds the bare network.
        data: Its safetensors file.
        example: Some inputs of the right shape and type.
        per_class: Whether it judges each class for itself.
    """
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    module = _Deployed(deserialize(build, data), per_class=per_class).eval()
    program = torch.onnx.export(
        module,
        (example,),
        input_names=["inputs"],
        output_names=["probabilities"],
        dynamic_shapes={"inputs": {0: torch.export.Dim("n", min=1)}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    serialized: bytes = program.model_proto.SerializeToString()
    return serialized
