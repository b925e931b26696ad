"""Train the body that the project's `pretraining` describes on images alone, and probe it."""

import time
from collections.abc import Mapping

from wslabel.config.pretraining import Pretraining
from wslabel.stages.result import PretrainResult
from wslabel.stages.train.launch import launch
from wslabel.stages.train.probe import probe
from wslabel.stages.train.runs import pretraining_run
from wslabel.workspace.constants import as_a
from wslabel.workspace.requirements import require_features, require_labels
from wslabel.workspace.workspace import Workspace


def run(workspace: Workspace) -> PretrainResult:
    """Train the body, unless it is there; nothing where the project describes none.

    Raises:
        WorkLeft: Features are not made yet, or the probe finds no image with a label or truth.
        ClusterTooSmall: The cluster can never hold the workers.
        TrainingError: Workers failed again and again.
    """
    start = time.monotonic()
    settings = workspace.project.pretraining
    if settings is None:
        return PretrainResult()
    require_features(workspace)
    made = 0
    if not workspace.location.exists(workspace.pretrained_file):
        launch(workspace, "pretrain", [pretraining_run(workspace, settings)])
        made = 1
    scores = _probe(workspace, settings)
    return PretrainResult(made=made, total=1, seconds=time.monotonic() - start, probe=scores)


def _probe(workspace: Workspace, settings: Pretraining) -> Mapping[str, float] | None:
    """Look up how a linear probe judges the body, or probe it; None where it is not asked for."""
    if settings.probe is None:
        return None
    if settings.probe == "weak":
        require_labels(workspace)
    scores: Mapping[str, float] = workspace.constants.get_or_make(
        workspace.probe, lambda: probe(workspace, settings), as_a(dict[str, float])
    )
    return scores
