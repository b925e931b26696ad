"""Weight files of networks: found on this machine, fetched where needed, known by their content."""

from pathlib import Path

from wslabel.config.base import S3
from wslabel.config.fingerprint import fingerprint
from wslabel.config.optimization import Optimization
from wslabel.features.classifier import ClassifierConfig
from wslabel.features.feature import NetworkFeatureConfig
from wslabel.storage import files


def locate(settings: NetworkFeatureConfig, s3: S3) -> Path:
    """Give the weights of a feature's network as a local path, fetching them where needed.

    Raises:
        WeightsError: They are absent, or cannot be fetched.
    """
    if settings.has_weights_file:
        return files.local_copy(settings.weights, s3)
    key = fingerprint(settings.kind, settings.model, settings.weights)
    known = files.remembered(key)
    if known is not None and Path(known).is_file():
        return Path(known)
    path = settings.default_weights()
    files.remember(key, str(path))
    return path


def locate_start(network: str, weights: str, s3: S3) -> Path:
    """Give the checkpoint that a trained network starts from as a local path.

    Args:
        network: Library and name, as `timm/resnet18`.
        weights: DEFAULT, a path, or an s3:// uri.
        s3: How to reach S3.

    Raises:
        WeightsError: It is absent, or cannot be fetched.
    """
    if weights == "DEFAULT":
        return locate(ClassifierConfig(kind="classifier", model=network), s3)
    return files.local_copy(weights, s3)


def start_sha256(settings: Optimization, s3: S3) -> str | None:
    """Hash the checkpoint that training starts from; None where it is in no file yet."""
    if settings.weights in (None, "pretrained"):
        return None
    return files.content_hash(locate_start(settings.network, str(settings.weights), s3))
