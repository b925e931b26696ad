"""The kinds of labeling functions that a project file may name."""

from wslabel.config.registry import Registry
from wslabel.labeling.category import CategoryLFConfig
from wslabel.labeling.color import ColorLFConfig
from wslabel.labeling.labeling_function import LFConfig
from wslabel.labeling.pattern import PatternLFConfig
from wslabel.labeling.python import PythonLFConfig
from wslabel.labeling.similarity import SimilarityLFConfig

LABELING_FUNCTIONS: Registry[LFConfig] = Registry(
    "kind", ColorLFConfig, CategoryLFConfig, SimilarityLFConfig, PatternLFConfig, PythonLFConfig
)
