"""The kinds of features that a project file may name."""

from wslabel.config.registry import Registry
from wslabel.features.classifier import ClassifierConfig
from wslabel.features.clip import ClipConfig
from wslabel.features.color import ColorConfig
from wslabel.features.feature import FeatureConfig
from wslabel.features.thumbnail import ThumbnailConfig

FEATURES: Registry[FeatureConfig] = Registry(
    "kind", ColorConfig, ThumbnailConfig, ClassifierConfig, ClipConfig
)
