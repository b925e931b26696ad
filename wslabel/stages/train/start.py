"""What a network starts from: random numbers, or the body of a checkpoint."""

from dataclasses import dataclass

import torch

from wslabel.config.base import S3
from wslabel.config.optimization import Optimization
from wslabel.networks.factory import Builder
from wslabel.networks.modules import OnImages
from wslabel.networks.weights import load_body, refuse_folded, refusing_size
from wslabel.workspace.weight_files import locate_start
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class BuildStarted:
    """Builds a network on images whose body is that of a checkpoint.

    Attributes:
        build: Builds the network from random numbers.
        network: Name of the network, for its library's own weights and for messages.
        weights: DEFAULT, a path, or an s3:// uri, found on the machine that builds.
        s3: How to reach S3.
    """

    build: Builder
    network: str
    weights: str
    s3: S3

    def __call__(self) -> torch.nn.Module:
        """Build it; the head stays random."""
        module = self.build()
        assert isinstance(module, OnImages)
        path = locate_start(self.network, self.weights, self.s3)
        load_body(module.network, path, self.network)
        return module


def started(workspace: Workspace, settings: Optimization, build: Builder) -> Builder:
    """Let a network start from the checkpoint that its settings name."""
    if settings.weights is None:
        return build
    weights = settings.weights
    if weights == "pretrained":
        weights = workspace.location.uri(workspace.pretrained_file)
    s3 = workspace.project.s3
    return BuildStarted(build=build, network=settings.network, weights=weights, s3=s3)


def beginning(settings: Optimization) -> tuple[object, ...]:
    """Give what `check_start` looks at, so that each beginning is checked once."""
    keys = ("network", "feature", "weights", "batch_norm", "preprocess")
    return tuple(getattr(settings, key) for key in keys)


def check_start(build: Builder, settings: Optimization, s3: S3) -> None:
    """See that a network can be built, takes its images, and takes what it starts from.

    Raises:
        WeightsError: It does not exist or does not fit, or training would spoil it.
    """
    module = build().eval()
    if settings.network != "linear":
        _refuse_unfit_images(module, settings)
    if settings.weights not in (None, "pretrained") and settings.batch_norm != "frozen":
        refuse_folded(locate_start(settings.network, str(settings.weights), s3))


@torch.inference_mode()
def _refuse_unfit_images(module: torch.nn.Module, settings: Optimization) -> None:
    side = settings.preprocess.crop
    with refusing_size(settings.network, side):
        module(torch.zeros((1, side, side, 3), dtype=torch.uint8))
