"""What a stage needs of those before it; asked before its work, and said in one sentence."""

from wslabel.errors import SourceError, WorkLeft
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.networks import Network
from wslabel.workspace.workspace import Workspace


def require_images(workspace: Workspace) -> None:
    """See that there are images.

    Raises:
        SourceError: The manifest is empty.
    """
    if not workspace.shards:
        raise SourceError(f"{workspace.project.workspace}: no images yet; wslabel run ingests them")


def require_features(workspace: Workspace) -> None:
    """See that every feature of every image is made.

    Raises:
        SourceError: There are no images.
        WorkLeft: Some shards lack features.
    """
    require_images(workspace)
    missing = workspace.missing_shards()
    if missing:
        raise WorkLeft(f"{len(missing)} shards lack features; run the stage featurize first")


def require_votes(workspace: Workspace) -> None:
    """See that every image is voted on.

    Raises:
        WorkLeft: Some are not.
    """
    require_features(workspace)
    _refuse_missing(workspace.votes, "votes", "vote")


def require_labels(workspace: Workspace) -> None:
    """See that features are made, and labels too where there are labeling functions.

    Raises:
        WorkLeft: They are not.
    """
    require_features(workspace)
    if workspace.project.labeling_functions:
        _refuse_missing(workspace.labels, "labels", "label")


def require_network(workspace: Workspace, network: Network) -> None:
    """See that a network is trained.

    Raises:
        WorkLeft: It is not.
    """
    if not workspace.location.exists(network.file):
        raise WorkLeft(f"{network.file} is missing; run the stage train first")


def require_predictions(workspace: Workspace) -> None:
    """See that every network of the project has judged every image.

    Raises:
        WorkLeft: Some have not.
    """
    require_labels(workspace)
    for name, network in workspace.networks.items():
        _refuse_missing(workspace.predictions(network), f"predictions of {name}", "predict")


def require_evaluation(workspace: Workspace) -> None:
    """See that what the project says is evaluated.

    Raises:
        WorkLeft: It is not.
    """
    require_labels(workspace)
    if not workspace.location.exists(workspace.evaluation):
        raise WorkLeft(f"{workspace.evaluation} is missing; run the stage evaluate first")


def _refuse_missing(derived: GroupTable, what: str, stage: str) -> None:
    if derived.missing:
        raise WorkLeft(
            f"{len(derived.missing)} of {len(derived.items)} groups of {what} are missing; "
            f"run the stage {stage} first"
        )
