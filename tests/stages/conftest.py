"""A project whose networks are trained and judged, for the tests of what stands on them."""

import pytest

from tests.conftest import LINEAR, Learnable
from wslabel import pipeline
from wslabel.project.project import Project

VARIANTS = {
    "careful": {"labels": "soft", "confidence_threshold": 0.6, "label_smoothing": 0.1},
    "weighed": {"labels": "hard", "class_weights": "balanced", "weight_by_confidence": True},
    "each": {"labels": "soft", "loss": "binary_cross_entropy"},
    "same": {"labels": "soft"},
}


@pytest.fixture(scope="session")
def trained(learnable: Learnable) -> Project:
    """A linear head per kind of label and variant, trained and run over all images."""
    training = LINEAR | {"variants": VARIANTS, "validate_on": "truth", "select_by": "roc_auc"}
    project: Project = learnable.load(name="variants", training=training)
    for _ in pipeline.run(project, until="predict"):
        pass
    return project
