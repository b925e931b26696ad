"""Self-training: predict out of fold, choose, mix, train anew, until validation gets no better.

Rounds meet in tables alone: the labels of a round are a table like the label model's, named by the
networks that corrected them, so a killed run goes on and equal rounds are never made twice.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from wslabel.config.experiments import SelfTraining
from wslabel.config.fingerprint import fingerprint
from wslabel.config.training import Training
from wslabel.errors import ConfigError
from wslabel.experiments import rounds_page
from wslabel.experiments.held_out import held_out_answers
from wslabel.experiments.learner import Learner
from wslabel.experiments.pseudo_labels import Tally
from wslabel.experiments.rounds import TESTED, Round, Rounds
from wslabel.project.project import Project
from wslabel.report.judging import judge
from wslabel.report.page import render
from wslabel.report.presentation import Presentation
from wslabel.stages.predict.predict import predict_networks
from wslabel.stages.result import StageResult
from wslabel.stages.train.train import train_networks
from wslabel.workspace.networks import Network
from wslabel.workspace.requirements import require_labels
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class SelfTrainResult(StageResult):
    """Rounds of self-training.

    Attributes:
        rounds: What each was like.
        page: Address of the page that shows them.
        best_network: Address of the network of the best round.
        project: Project whose labels are corrected.
    """

    stage: ClassVar[str] = "self_train"
    rounds: Rounds
    page: str
    best_network: str
    project: Project

    def presentation(self) -> Presentation:
        """Lay the rounds out."""
        return rounds_page.presentation(self.project, self.rounds)

    @property
    def notes(self) -> tuple[str, ...]:
        """Say where the best network and the page are."""
        best = f"the best round is {self.rounds.best}: {self.best_network}"
        return (best, f"report: {self.page}")


def self_train(project: Project) -> SelfTrainResult:
    """Go around until validation gets no better, or the rounds are over.

    Raises:
        ConfigError: The project has no section `self_training`.
    """
    start = time.monotonic()
    settings, training = refuse_nothing(project)
    workspace = Workspace(project)
    require_labels(workspace)
    loop = _Loop(workspace, settings, training.variant(settings.variant))
    rounds = loop.run()
    name = f"reports/self-training-{fingerprint(rounds.to_json())}"
    page = render(rounds_page.presentation(project, rounds))
    workspace.location.create(f"{name}.html", page.encode())
    workspace.write_json(f"{name}.json", rounds.to_json())
    return SelfTrainResult(
        made=loop.made,
        total=loop.num_networks,
        seconds=time.monotonic() - start,
        rounds=rounds,
        page=workspace.location.uri(f"{name}.html"),
        best_network=workspace.location.uri(rounds.best_network),
        project=project,
    )


def refuse_nothing(project: Project) -> tuple[SelfTraining, Training]:
    """See that a project says how to train itself, and give what it says.

    Raises:
        ConfigError: It has no section `self_training`.
    """
    if project.self_training is None or project.training is None:
        raise ConfigError("self_training: this section is missing; it may be empty: {}")
    return project.self_training, project.training


class _Loop:
    """Goes from round to round of one project, until validation gets no better."""

    def __init__(self, workspace: Workspace, settings: SelfTraining, training: Training) -> None:
        self._workspace, self._settings, self._training = workspace, settings, training
        self._learner = Learner(workspace, training)
        self.made = self.num_networks = 0

    def run(self) -> Rounds:
        """Do the rounds; round 0 has the label model's own labels."""
        labels, tally = self._workspace.labels, None
        rounds: list[Round] = []
        for number in range(self._settings.rounds + 1):
            network = self._learner.network(number, labels)
            is_last = number == self._settings.rounds
            judges = [] if is_last else self._learner.judges(number, labels)
            self._train([network, *judges])
            rounds.append(self._judged(number, network, tally))
            if is_last or self._is_over(rounds):
                break
            labels, tally = self._learner.corrected(labels, judges)
        return Rounds(tuple(rounds), _best(rounds))

    def _train(self, networks: Sequence[Network]) -> None:
        self.num_networks += len(networks)
        self.made += train_networks(self._workspace, networks)
        predict_networks(self._workspace, networks)

    def _judged(self, number: int, network: Network, tally: Tally | None) -> Round:
        metrics = self._workspace.card(network).metrics
        return Round(
            number=number,
            network=network.file,
            score=_score(self._training, metrics),
            validation={k: v for k, v in metrics.items() if k.startswith("validation_")},
            test=self._tested(network),
            labels=tally,
        )

    def _tested(self, network: Network) -> dict[str, float | None]:
        key = ("round", 0)
        answers = held_out_answers(self._workspace, {key: [network]}, "test")[key]
        judged = judge(answers, len(self._workspace.project.classes))
        # Of no images a ratio is 0, which would look like a finding.
        test = {name: getattr(judged, name) if judged.num_images else None for name in TESTED}
        return test | {"num_images": judged.num_images}

    def _is_over(self, rounds: Sequence[Round]) -> bool:
        since_best = len(rounds) - 1 - _best(rounds)
        return rounds[-1].score is not None and since_best >= self._settings.patience


def _score(settings: Training, metrics: Mapping[str, float]) -> float | None:
    """Give what validation says of a network, the higher the better; None without validation."""
    value = metrics.get(f"validation_{settings.select_by}")
    if value is None:
        return None
    return -value if settings.select_by == "loss" else value


def _best(rounds: Sequence[Round]) -> int:
    """Give the first round that validation likes best; without validation the last one."""
    scores = [own.score for own in rounds if own.score is not None]
    return scores.index(max(scores)) if len(scores) == len(rounds) else len(rounds) - 1
