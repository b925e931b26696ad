"""From a project to runs: which network learns what, from which images."""

from dataclasses import replace

import numpy as np

from wslabel.config.optimization import Optimization
from wslabel.config.pretraining import Pretraining
from wslabel.config.training import Training
from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.examples import TableExamples
from wslabel.examples.inputs import embedding_dim, inputs_of
from wslabel.examples.targets import Targets
from wslabel.networks.factory import Builder, BuildProjecting, builder
from wslabel.stages.train.start import beginning, check_start, started
from wslabel.training.objectives import Objective
from wslabel.training.run import Run
from wslabel.training.self_supervised import QUARTERS, Rotation, SimClr
from wslabel.training.soft_labels import class_weights
from wslabel.training.supervised import Mix, Supervised
from wslabel.workspace.networks import Network
from wslabel.workspace.shard_reader import ShardReader, shard_reader
from wslabel.workspace.workspace import Workspace


def training_run(
    workspace: Workspace, network: Network, decoded: DecodedImages | None = None
) -> Run:
    """Describe the training of one network; what it learns from is read in the workers.

    Args:
        workspace: Tables of the project.
        network: What to train.
        decoded: Decoded images that runs share; None for none but its own.
    """
    settings = network.settings
    decoded = DecodedImages() if decoded is None else decoded
    train, validate = training_targets(workspace, network), _validation(workspace, network)
    return Run(
        name=network.name,
        folder=network.folder,
        build=started(workspace, settings, network_builder(workspace, settings)),
        settings=settings,
        objective=Supervised(settings, _mix(settings)),
        train=_to_learn(workspace, settings, train, decoded),
        validate=None if validate is None else _to_judge(workspace, settings, validate, decoded),
        card=_card(workspace, network),
    )


def _mix(settings: Training) -> Mix | None:
    if not settings.mixup and not settings.cutmix:
        return None
    from wslabel.training.mixup import Mixup  # noqa: PLC0415 - loads torchvision

    return Mixup(settings.mixup, settings.cutmix)


def pretraining_run(workspace: Workspace, settings: Pretraining) -> Run:
    """Describe the training of a body on images alone."""
    build = started(workspace, settings, network_builder(workspace, settings))
    objective: Objective = Rotation()
    if settings.method == "simclr":
        objective = SimClr(settings.temperature)
        build = BuildProjecting(build, settings.projection_dim)
    targets = Targets(classes=(), splits=tuple(settings.splits), kind=None)
    return Run(
        name=settings.method,
        folder=workspace.pretrained,
        build=build,
        settings=settings,
        objective=objective,
        train=_to_learn(workspace, settings, targets, DecodedImages()),
        card={"pretraining": settings.model_dump(mode="json"), "network": settings.network},
    )


def check_networks(workspace: Workspace) -> None:
    """See that each network of a project can start, before there is anything to learn from.

    Raises:
        WeightsError: One does not exist, or does not take its images or what it starts from.
    """
    project, training = workspace.project, workspace.project.training
    if project.pretraining is not None:
        run = pretraining_run(workspace, project.pretraining)
        check_start(run.build, run.settings, project.s3)
    if training is None:
        return
    variants = [training.variant(name) for name in training.names]
    for settings in {beginning(settings): settings for settings in variants}.values():
        build = network_builder(workspace, settings)
        # What pretraining makes is not there yet, and is of the same network.
        if settings.weights != "pretrained":
            build = started(workspace, settings, build)
        check_start(build, settings, project.s3)


def network_builder(workspace: Workspace, settings: Optimization) -> Builder:
    """Give what builds a network from random numbers in any process."""
    classes = len(workspace.project.classes)
    num_outputs = classes if isinstance(settings, Training) else QUARTERS
    return builder(settings, embedding_dim(workspace, settings), num_outputs)


def training_targets(workspace: Workspace, network: Network) -> Targets:
    """Say what a network learns, and of which images."""
    settings = network.settings
    (kind,) = settings.labels
    consistency = settings.consistency
    targets = Targets(
        classes=tuple(workspace.project.classes),
        splits=network.splits,
        kind=kind,
        labels=shard_reader(network.labels) if network.labels else _labels(workspace, kind),
        parts=network.parts,
        confidence_threshold=settings.confidence_threshold,
        unlabeled=consistency is not None and consistency.unlabeled,
        smoothing=(settings.label_smoothing, settings.smoothing_form),
        by_confidence=settings.weight_by_confidence,
    )
    if settings.class_weights is None:
        return targets
    weights_K = class_weights(_label_sums(workspace, targets), settings.class_weights)
    return replace(targets, class_weights=tuple(map(float, weights_K)))


def _label_sums(workspace: Workspace, targets: Targets) -> np.ndarray:
    """Add up the labels that count, as they are before smoothing."""
    plain = replace(targets, smoothing=(0.0, "uniform"))
    shards = (plain.read(workspace.location, shard) for shard in workspace.shards)
    sums = (own.targets_NK[own.is_chosen_N & (own.weights_N > 0)].sum(axis=0) for own in shards)
    return np.asarray(sum(sums))


def _validation(workspace: Workspace, network: Network) -> Targets | None:
    """Say what the best epoch is chosen by; None keeps the last."""
    validate_on = network.settings.validate_on
    if validate_on is None:
        return None
    kind = "original" if validate_on == "truth" else "soft"
    return Targets(
        classes=tuple(workspace.project.classes),
        splits=("val",),
        kind=kind,
        labels=_labels(workspace, kind),
        parts=network.parts,
    )


def _labels(workspace: Workspace, kind: str) -> ShardReader | None:
    return None if kind == "original" else shard_reader(workspace.labels)


def _to_learn(
    workspace: Workspace, settings: Optimization, targets: Targets, decoded: DecodedImages
) -> TableExamples:
    """Shuffle and augment images, as two views where the settings compare views."""
    is_paired = isinstance(settings, Pretraining) and settings.method == "simclr"
    is_consistent = isinstance(settings, Training) and settings.consistency is not None
    return TableExamples(
        inputs=inputs_of(workspace, settings),
        shards=workspace.input_shards(settings),
        targets=targets,
        batch_size=settings.batch_size,
        seed=settings.seed,
        augment=settings.augment,
        views=2 if is_paired or is_consistent else 1,
        threads=settings.loader_threads,
        decoded=decoded,
    )


def _to_judge(
    workspace: Workspace, settings: Optimization, targets: Targets, decoded: DecodedImages
) -> TableExamples:
    """Take images in the order of the tables, as they are."""
    return TableExamples(
        inputs=inputs_of(workspace, settings),
        shards=workspace.input_shards(settings),
        targets=targets,
        batch_size=max(256, settings.batch_size),
        threads=settings.loader_threads,
        decoded=decoded,
    )


def _card(workspace: Workspace, network: Network) -> dict[str, object]:
    settings, project = network.settings, workspace.project
    plain = settings.model_dump(mode="json", exclude={"variants", "labels"})
    feature = project.features[settings.feature].model_dump(mode="json")
    return {
        "name": network.name,
        "classes": project.classes,
        "labels": settings.labels[0],
        "network": settings.network,
        "input": {"feature": feature, "preprocess": plain.pop("preprocess")},
        "training": plain,
        "fingerprint": network.folder.rpartition("-")[2],
    }
