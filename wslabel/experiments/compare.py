"""Compare networks fairly: every one from fresh starts, over seeds, on the same held-out images."""

import time
from dataclasses import dataclass
from typing import ClassVar

from wslabel import schema
from wslabel.config.experiments import Comparison
from wslabel.config.fingerprint import fingerprint
from wslabel.config.training import Training
from wslabel.errors import ConfigError
from wslabel.experiments import comparison_page
from wslabel.experiments.comparison import NetworkComparison, compared
from wslabel.experiments.folds import by_truth
from wslabel.experiments.held_out import Key, held_out_answers
from wslabel.experiments.learner import Learner, last_networks
from wslabel.project.project import Project
from wslabel.report.page import render
from wslabel.report.presentation import Presentation
from wslabel.stages.predict.predict import predict_networks
from wslabel.stages.result import StageResult
from wslabel.stages.train.train import train_networks
from wslabel.workspace.images import class_ids, read_images
from wslabel.workspace.networks import Network
from wslabel.workspace.requirements import require_labels
from wslabel.workspace.shard_reader import FoldPart
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class CompareResult(StageResult):
    """Networks that were compared.

    Attributes:
        comparison: How they did.
        page: Address of the page that shows it.
        project: Project whose networks they are.
    """

    stage: ClassVar[str] = "compare"
    comparison: NetworkComparison
    page: str
    project: Project

    def presentation(self) -> Presentation:
        """Lay the comparison out."""
        return comparison_page.presentation(self.project, self.comparison)

    @property
    def notes(self) -> tuple[str, ...]:
        """Say where the page is."""
        return (f"report: {self.page}",)


def compare(project: Project) -> CompareResult:
    """Train every network of a project over seeds and folds, and judge all on the same images.

    Raises:
        ConfigError: There is nothing to compare.
    """
    start, settings = time.monotonic(), project.comparison
    training = refuse_nothing(project)
    workspace = Workspace(project)
    require_labels(workspace)
    name = f"reports/comparison-{_identity(workspace)}"
    made = 0
    if not workspace.location.exists(f"{name}.json"):
        made, comparison = _compared(workspace, settings.reference or training.names[0])
        page = render(comparison_page.presentation(project, comparison))
        workspace.location.create(f"{name}.html", page.encode())
        workspace.write_json(f"{name}.json", comparison.to_json())
    comparison = workspace.read_json(f"{name}.json", NetworkComparison.from_json)
    return CompareResult(
        made=made,
        total=sum(own.num_seeds for own in comparison.networks) * (settings.folds or 1),
        seconds=time.monotonic() - start,
        comparison=comparison,
        page=workspace.location.uri(f"{name}.html"),
        project=project,
    )


def refuse_nothing(project: Project) -> Training:
    """See that there is something to compare, and give what trains it.

    Raises:
        ConfigError: There are no two networks.
    """
    training = project.training
    if training is None or len(training.names) < 2:
        raise ConfigError("training: to compare, name at least two networks (labels or variants)")
    return training


def _compared(workspace: Workspace, reference: str) -> tuple[int, NetworkComparison]:
    """Train what is missing; give how many networks that were, and what all are like."""
    split = "test" if workspace.project.comparison.folds is None else None
    _refuse_without_truth(workspace, split)
    made, networks = _train(workspace)
    answers = held_out_answers(workspace, networks, split)
    return made, compared(answers, reference, len(workspace.project.classes))


def _slices(workspace: Workspace, seed: int) -> list[tuple[FoldPart, ...]]:
    """Give the parts of the images that networks of a seed learn from."""
    folds = workspace.project.comparison.folds
    if folds is None:
        return [()]
    column = by_truth(workspace, folds, seed)
    return [(FoldPart(column, fold, is_held=False),) for fold in range(folds)]


def splits_of(comparison: Comparison, settings: Training) -> tuple[str, ...]:
    """Give the splits that a network learns from.

    With folds these are all but the one that validates: of that, what is not held out validates.
    """
    if comparison.folds is None:
        return ("train",)
    return schema.SPLITS if settings.validate_on is None else ("train", "test")


def _networks(workspace: Workspace) -> dict[Key, list[Network]]:
    """List the networks of each name and seed, one per fold."""
    training, comparison = workspace.project.training, workspace.project.comparison
    assert training is not None
    networks = {}
    for seed in range(comparison.seeds):
        slices = _slices(workspace, seed)
        for name in training.names:
            settings = _seeded(training.variant(name), seed)
            splits = splits_of(comparison, settings)
            networks[name, seed] = [
                workspace.network(name, settings, parts=parts, splits=splits) for parts in slices
            ]
    return networks


def _seeded(settings: Training, seed: int) -> Training:
    return settings.model_copy(update={"seed": settings.seed + seed})


def _self_trained(workspace: Workspace) -> dict[Key, list[Network]]:
    """Go through the rounds of self-training for each seed and fold, all at once."""
    project = workspace.project
    if not project.comparison.self_training:
        return {}
    assert project.training is not None
    assert project.self_training is not None
    learners: dict[Key, list[Learner]] = {}
    for seed in range(project.comparison.seeds):
        settings = _seeded(project.training.variant(project.self_training.variant), seed)
        splits = splits_of(project.comparison, settings)
        learners["self_training", seed] = [
            Learner(workspace, settings, parts, splits) for parts in _slices(workspace, seed)
        ]
    flat = [learner for of_seed in learners.values() for learner in of_seed]
    last = iter(last_networks(workspace, flat))
    return {key: [next(last) for _ in of_seed] for key, of_seed in learners.items()}


def _identity(workspace: Workspace) -> str:
    folders = {
        f"{name} {seed}": [network.folder for network in networks]
        for (name, seed), networks in _networks(workspace).items()
    }
    project = workspace.project
    experiments = [project.comparison, project.self_training]
    return fingerprint(folders, experiments, project.classes, workspace.shards)


def _refuse_without_truth(workspace: Workspace, split: str | None) -> None:
    images = read_images(workspace.location, workspace.shards, ["split", schema.TRUTH])
    known_N = class_ids(images.column(schema.TRUTH), tuple(workspace.project.classes)) >= 0
    if split is not None:
        known_N &= images.column("split").to_numpy() == split
    if not known_N.any():
        where = "" if split is None else f" of the {split} split"
        raise ConfigError(
            f"comparison: no image{where} has one of the classes as its truth, so there is nothing "
            "to judge networks by; name a truth in images"
        )


def _train(workspace: Workspace) -> tuple[int, dict[Key, list[Network]]]:
    """Train all networks that are missing; give how many that were, and all there are."""
    networks = _networks(workspace)
    made = train_networks(workspace, _flat(networks))
    networks |= _self_trained(workspace)
    made += train_networks(workspace, _flat(networks))
    predict_networks(workspace, _flat(networks))
    return made, networks


def _flat(networks: dict[Key, list[Network]]) -> list[Network]:
    return [network for of_key in networks.values() for network in of_key]
