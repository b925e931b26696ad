"""Trained networks for other runtimes; the door to ONNX."""

import logging
from collections.abc import Callable

import torch

from wslabel.training.networks import deserialize, probabilities

OPSET = 18


class _Deployed(torch.nn.Module):
    """A network that gives probabilities, as `wslabel predict` does."""

    def __init__(self, network: torch.nn.Module, *, per_class: bool) -> None:
        super().__init__()
        self.network = network
        self._per_class = per_class

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return probabilities(self.network(inputs), per_class=self._per_class)


def to_onnx(
    make: Callable[[], torch.nn.Module], data: bytes, example: torch.Tensor, *, per_class: bool
) -> bytes:
    """Turn a network's safetensors file into an ONNX model of any batch size.

    Its input `inputs` is what the network reads (uint8 images [n, h, w, 3], or embeddings); its
    output `probabilities` is float32 [n, K].

    Args:
        make: builds the bare network.
        data: of the safetensors file.
        example: some inputs of the right shape and type.
        per_class: whether it judges each class for itself.
    """
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    module = _Deployed(deserialize(make, data), per_class=per_class).eval()
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
