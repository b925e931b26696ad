"""The typed settings of a project file: keys mirror folders and fields, strictly.

Every settings class is frozen and refuses unknown keys, naming the nearest valid one. Checks that
need more than one section stand in `project`; checks that touch files stand in `config`.
"""

from wslabel.settings.base import S3
from wslabel.settings.features import (
    FEATURE_KINDS,
    Categories,
    Classifier,
    Clip,
    Color,
    Preprocess,
    Thumbnail,
)
from wslabel.settings.images import (
    Folder,
    Generated,
    HuggingFace,
    OpenImages,
    TableSource,
    WebDataset,
)
from wslabel.settings.learning import (
    WHERE_IT_RUNS,
    Augmentations,
    Comparison,
    Consistency,
    LabelModel,
    Optimization,
    Pretraining,
    SelfTraining,
    Training,
)
from wslabel.settings.project import Engine, Project
from wslabel.settings.sweep import Asha, Dimension, Sweep
from wslabel.settings.votes import (
    CategoryVote,
    ColorVote,
    PatternVote,
    PythonVote,
    Quantile,
    SimilarityVote,
    Threshold,
)

__all__ = [
    "FEATURE_KINDS",
    "S3",
    "WHERE_IT_RUNS",
    "Asha",
    "Augmentations",
    "Categories",
    "CategoryVote",
    "Classifier",
    "Clip",
    "Color",
    "ColorVote",
    "Comparison",
    "Consistency",
    "Dimension",
    "Engine",
    "Folder",
    "Generated",
    "HuggingFace",
    "LabelModel",
    "OpenImages",
    "Optimization",
    "PatternVote",
    "Preprocess",
    "Pretraining",
    "Project",
    "PythonVote",
    "Quantile",
    "SelfTraining",
    "SimilarityVote",
    "Sweep",
    "TableSource",
    "Threshold",
    "Thumbnail",
    "Training",
    "WebDataset",
]
