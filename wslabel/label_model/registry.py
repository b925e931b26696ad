"""The kinds of label models that a project file may name."""

from wslabel.config.registry import Registry
from wslabel.label_model.label_model import LabelModelConfig
from wslabel.label_model.majority import MajorityConfig
from wslabel.label_model.snorkel import SnorkelConfig

LABEL_MODELS: Registry[LabelModelConfig] = Registry("kind", SnorkelConfig, MajorityConfig)
