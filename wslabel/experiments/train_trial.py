"""One trial of a sweep: train a network with some values, in the process of the trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wslabel import pipeline
from wslabel.config.yaml_file import changed
from wslabel.examples.decoded_images import DecodedImages
from wslabel.project.loading import build
from wslabel.stages.train.runs import training_run
from wslabel.stages.train.start import check_start
from wslabel.stages.train.workspace_models import WorkspaceModels
from wslabel.training import trainer
from wslabel.training.events import EpochEvent
from wslabel.training.local import alone, train_run
from wslabel.training.tuner import Report
from wslabel.workspace.networks import Network
from wslabel.workspace.workspace import Workspace

LOCAL_GROUPS = 10**9
"""Groups that a trial votes on and labels in its own process: on tasks it might wait for itself."""


@dataclass(frozen=True, kw_only=True)
class TrainTrial:
    """Trains once, from what the project file said on the driver.

    Attributes:
        file: Project file.
        raw: What it says.
        shards: Shards of images, the same for all trials, whatever is ingested meanwhile.
        metric: Figure of the validation split that makes one trial better.
        decoded: Images that trials in one process have decoded; an actor runs several.
    """

    file: Path
    raw: Mapping[str, Any]
    shards: tuple[int, ...]
    metric: str
    decoded: DecodedImages = field(default_factory=DecodedImages)

    def __call__(self, values: Mapping[str, Any], report: Report) -> None:
        """Train with some values of the searched keys, and report after each epoch."""
        project = build(self.file, changed(self.file, self.raw, values))
        engine = project.engine.model_copy(update={"driver_groups": LOCAL_GROUPS})
        project = project.model_copy(update={"engine": engine})
        options = pipeline.Options(shards=self.shards)
        for _ in pipeline.run(project, first="vote", until="label", options=options):
            pass
        workspace = Workspace(project, shards=self.shards)
        (network,) = workspace.networks.values()
        scores = BestScores(self.metric, network.folder, report)
        if not workspace.location.exists(network.file):
            _train(workspace, network, self.decoded, scores)
            return
        # Trained before the driver stopped, or by a trial that comes to the same.
        for record in workspace.card(network).history:
            scores.tell(record)


def _train(
    workspace: Workspace, network: Network, decoded: DecodedImages, scores: "BestScores"
) -> None:
    run, store = training_run(workspace, network, decoded), WorkspaceModels(workspace.location)
    check_start(run.build, run.settings, workspace.project.s3)
    if network.settings.most_workers > 1:
        trainer.train([run], store, scores.on_event)
    else:
        train_run(run, store, alone(network.settings), scores.on_event)


class BestScores:
    """Reports the best score so far after each epoch."""

    def __init__(self, metric: str, folder: str, report: Report) -> None:
        """Report to whom it is told.

        Args:
            metric: Figure of the validation split that is the score; a loss counts negatively.
            folder: Folder of the network.
            report: Is called with each record.
        """
        self._metric, self._folder, self._report = metric, folder, report
        self._best: float | None = None

    def on_event(self, event: EpochEvent) -> None:
        """Report the epochs that an event is about."""
        for record in event.earlier if event.record is None else (event.record,):
            self.tell(record)

    def tell(self, record: Mapping[str, float]) -> None:
        """Report one epoch."""
        value = record[f"validation_{self._metric}"]
        score = -value if self._metric == "loss" else value
        self._best = score if self._best is None else max(self._best, score)
        own = {"score": self._best, "epoch": int(record["epoch"]), "network": self._folder}
        self._report(dict(record) | own)
