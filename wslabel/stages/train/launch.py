"""Start training where it is worth it: in workers of the cluster, or right here."""

from collections.abc import Sequence

from wslabel.config.optimization import Optimization
from wslabel.engine.execute import connect
from wslabel.engine.plan import Node, Resources
from wslabel.engine.progress import Show, showing, tell
from wslabel.errors import ClusterTooSmall
from wslabel.stages.train.start import beginning, check_start
from wslabel.stages.train.workspace_models import WorkspaceModels
from wslabel.training.events import EpochEvent, OnEvent
from wslabel.training.local import train_here
from wslabel.training.run import Run
from wslabel.workspace.groups import group_items
from wslabel.workspace.workspace import Workspace

SHOWN = ("loss", "validation_loss", "validation_accuracy")


def launch(workspace: Workspace, stage: str, runs: Sequence[Run]) -> None:
    """Train networks one after another, showing progress.

    Args:
        workspace: Keeps the networks.
        stage: Name that the progress is shown under.
        runs: What to train; where they run is the same for all.

    Raises:
        WeightsError: A network does not take the checkpoint that it starts from.
        ClusterTooSmall: The cluster can never hold the workers.
        TrainingError: Workers failed again and again.
    """
    starts = {beginning(run.settings): run for run in runs}
    for run in starts.values():
        check_start(run.build, run.settings, workspace.project.s3)
    is_light = all(_is_light(workspace, run.settings) for run in runs)
    if not is_light:
        refuse_too_many(runs[0].settings, connect())
    store = WorkspaceModels(workspace.location)
    with showing(stage, sum(run.settings.epochs for run in runs)) as show:
        if is_light:
            train_here(runs, store, showing_events(stage, show))
        else:
            _train_in_workers(runs, store, showing_events(stage, show))


def _train_in_workers(runs: Sequence[Run], store: WorkspaceModels, on_event: OnEvent) -> None:
    from wslabel.training import trainer  # noqa: PLC0415 - loads Ray Train, once it has work

    trainer.train(runs, store, on_event)


def _is_light(workspace: Workspace, settings: Optimization) -> bool:
    """Tell whether training is over before workers would have started: a linear head, alone."""
    is_alone = settings.most_workers == 1 and not settings.use_gpu
    num_groups = len(group_items(workspace.shards, {}))
    is_small = num_groups <= workspace.project.engine.driver_groups
    return settings.network == "linear" and is_alone and is_small


def showing_events(stage: str, show: Show) -> OnEvent:
    """Show what workers tell of their epochs."""

    def on_event(event: EpochEvent) -> None:
        if event.record is None:
            where = f"epoch {len(event.earlier)} of {event.epochs}"
            where += f" and {event.batches:,} batches" if event.batches else ""
            tell(f"{stage}: {event.name} goes on after {where}")
            return
        epoch = int(event.record["epoch"])
        figures = [
            f"{key.replace('_', ' ')} {event.record[key]:.4f}"
            for key in SHOWN
            if key in event.record
        ]
        rate = f"{event.record['images_per_s']:,.0f} images/s"
        show.step(f"{event.name} epoch {epoch}/{event.epochs}, {', '.join(figures)}, {rate}")

    return on_event


def refuse_too_many(settings: Optimization, cluster: Resources) -> None:
    """Refuse a group of workers that the cluster can never hold.

    Raises:
        ClusterTooSmall: Even the fewest workers find no room on its machines.
    """
    each = Node(settings.cpus_per_worker, settings.gpus_per_worker if settings.use_gpu else 0.0)
    fitting, least = cluster.room(each.cpus, each.gpus), settings.least_workers
    if fitting < least:
        raise ClusterTooSmall(
            f"training.workers: {least} of {each} each are needed, {fitting} find room: "
            f"the cluster has {cluster}"
        )
