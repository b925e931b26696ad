"""Sections of a project file for small networks, as settings."""

from typing import Any

from wslabel.config.preprocess import Preprocess
from wslabel.features.classifier import ClassifierConfig
from wslabel.features.clip import ClipConfig

PREPROCESS = Preprocess(resize=36, crop=32)


def classifier(networks: Any, **changes: Any) -> ClassifierConfig:
    keys: dict[str, Any] = {
        "kind": "classifier",
        "model": "timm/test_efficientnet",
        "model_options": {"num_classes": 5},
        "weights": str(networks.classifier),
        "categories": {"file": str(networks.categories)},
        "preprocess": PREPROCESS,
        "top_k": 3,
        "embedding": True,
    }
    return ClassifierConfig(**(keys | changes))


def clip(networks: Any, **changes: Any) -> ClipConfig:
    keys = {"model": str(networks.clip_config), "weights": str(networks.clip_weights)}
    return ClipConfig(kind="clip", **(keys | changes))
