"""Run trained networks over all images of a project, each input read once, or over other images."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from wslabel.engine.execute import Placement, execute
from wslabel.engine.step import ItemResult
from wslabel.examples.inputs import Inputs, embedding_dim, inputs_of
from wslabel.networks.factory import builder
from wslabel.stages.predict.step import PredictItem, PredictStep, TrainedNetwork
from wslabel.stages.result import PredictResult, total_images
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.networks import Network
from wslabel.workspace.requirements import require_labels, require_network
from wslabel.workspace.workspace import Workspace

Predictions = Mapping[str, GroupTable]
"""Tables of predictions, by the folder of the network."""


def run(workspace: Workspace) -> PredictResult:
    """Run every trained network of the project over all images.

    Raises:
        WorkLeft: Labels are not made, or a network is not trained yet.
    """
    start = time.monotonic()
    require_labels(workspace)
    result = predict_networks(workspace, list(workspace.networks.values()))
    return replace(result, seconds=time.monotonic() - start)


def predict_networks(workspace: Workspace, networks: Sequence[Network]) -> PredictResult:
    """Run some trained networks over all images that they have not judged yet.

    Raises:
        WorkLeft: A network is not trained yet.
    """
    predictions = {network.folder: workspace.predictions(network) for network in networks}
    results: list[ItemResult] = []
    for feature in sorted({network.settings.feature for network in networks}):
        alike = [network for network in networks if network.settings.feature == feature]
        results += _predict_alike(workspace, alike, predictions)
    for table in predictions.values():
        table.table.supersede(table.state)
    total = max((len(table.items) for table in predictions.values()), default=0)
    return PredictResult(made=len(results), total=total, num_images=total_images(results))


def run_other(workspace: Workspace, other: Workspace, network: Network) -> PredictResult:
    """Predict the classes of other images, whose features are made in a workspace of their own.

    Args:
        workspace: Workspace of the project that trained the network.
        other: Workspace of the other images.
        network: Network that predicts.

    Raises:
        WorkLeft: The network is not trained yet.
    """
    start = time.monotonic()
    predictions, inputs = other.predictions(network), inputs_of(other, network.settings)
    trained = {network.folder: trained_network(workspace, network, predictions, inputs)}
    items = predict_items([network], {network.folder: predictions})
    classes = tuple(workspace.project.classes)
    step = PredictStep(other.location, trained, len(classes))
    engine, placement = other.project.engine, placement_of([network])
    results = list(execute(engine, "predict", step, items, placement=placement))
    predictions.table.supersede(predictions.state)
    return PredictResult(
        made=len(results),
        total=len(predictions.items),
        num_images=total_images(results),
        seconds=time.monotonic() - start,
        table=other.location.uri(predictions.table.folder),
        classes=classes,
    )


def _predict_alike(
    workspace: Workspace, networks: Sequence[Network], predictions: Predictions
) -> list[ItemResult]:
    """Run networks that read the same feature."""
    items = predict_items(networks, predictions)
    missing = {folder for item in items for folder in item.missing}
    trained = {
        network.folder: trained_network(workspace, network, predictions[network.folder])
        for network in networks
        if network.folder in missing
    }
    step = PredictStep(workspace.location, trained, len(workspace.project.classes))
    engine, placement = workspace.project.engine, placement_of(networks)
    return list(execute(engine, "predict", step, items, placement=placement))


def placement_of(networks: Sequence[Network]) -> Placement:
    """Choose where networks predict: what reads images is worth a GPU, linear heads are not."""
    is_linear = all(network.settings.network == "linear" for network in networks)
    return Placement.TASKS if is_linear else Placement.GPU


def predict_items(networks: Sequence[Network], predictions: Predictions) -> list[PredictItem]:
    """List the groups that some network lacks, of networks that read the same feature."""
    missing: dict[int, dict[str, str]] = {}
    for network in networks:
        for item in predictions[network.folder].missing:
            missing.setdefault(item.key, {})[network.folder] = item.name
    return [
        PredictItem(
            key=item.key,
            shards=item.shards,
            generations=item.generations["input"],
            missing=missing[item.key],
        )
        for item in predictions[networks[0].folder].items
        if item.key in missing
    ]


def trained_network(
    workspace: Workspace, network: Network, predictions: GroupTable, inputs: Inputs | None = None
) -> TrainedNetwork:
    """Say how a network predicts.

    Args:
        workspace: Workspace of the project that trained it.
        network: Network that predicts.
        predictions: Where its predictions go.
        inputs: What it reads, where these are other images than the project's.

    Raises:
        WorkLeft: It is not trained yet.
    """
    require_network(workspace, network)
    settings = network.settings
    num_classes = len(workspace.project.classes)
    return TrainedNetwork(
        location=workspace.location,
        file=network.file,
        build=builder(settings, embedding_dim(workspace, settings), num_classes),
        inputs=inputs or inputs_of(workspace, settings),
        output=predictions.table.folder,
        per_class=settings.loss == "binary_cross_entropy",
        parts=network.parts,
    )
