"""Train and run networks that are missing, on the cluster there is."""

from collections.abc import Callable, Sequence
from typing import Any

from wslabel.engine.cluster import Resources, connect
from wslabel.engine.drive import Spread, drive
from wslabel.engine.progress import Show, showing, tell
from wslabel.engine.work import Receipt
from wslabel.errors import ClusterTooSmall, WorkLeft
from wslabel.settings import Optimization, Pretraining
from wslabel.steps import doors, group
from wslabel.steps.networks import check_start
from wslabel.steps.predict import Predict, prediction_works, trained
from wslabel.steps.tables import NETWORK, Network, Tables
from wslabel.steps.train import ModelHome, pretraining_run, training_run


def train_networks(tables: Tables, networks: Sequence[Network]) -> int:
    """Train those of some networks that are missing, and tell how many that were.

    Raises:
        WorkLeft: the body that they start from is not pretrained yet.
        ClusterTooSmall: the cluster can never hold the workers.
        TrainingError: workers failed again and again.
    """
    missing = missing_networks(tables, networks)
    if any(network.how.weights == "pretrained" for network in missing):
        name = f"{tables.pretrained}/{NETWORK}"
        if not tables.location.exists(name):
            raise WorkLeft(f"{name} is missing; run the stage pretrain first")
    if missing:
        _train(tables, "train", [training_run(tables, network) for network in missing])
    return len(missing)


def missing_networks(tables: Tables, networks: Sequence[Network]) -> list[Network]:
    """List the networks that are not trained yet, equal ones once."""
    wanted = {network.folder: network for network in networks}
    return [n for n in wanted.values() if not tables.location.exists(n.file)]


def pretrain_body(tables: Tables, how: Pretraining) -> int:
    """Train the body that the settings describe, unless it is there."""
    if tables.location.exists(f"{tables.pretrained}/{NETWORK}"):
        return 0
    _train(tables, "pretrain", [pretraining_run(tables, how)])
    return 1


def _train(tables: Tables, stage: str, runs: list[Any]) -> None:
    starts = {(run.how.network, run.how.weights, run.how.batch_norm): run for run in runs}
    for run in starts.values():
        check_start(run.how, run.make, tables.project.s3)
    is_light = all(_is_light(tables, run.how) for run in runs)
    if not is_light:
        _refuse_too_many(runs[0].how, connect(tables.project.engine))
    num_epochs = sum(run.how.epochs for run in runs)
    with showing(stage, num_epochs) as show:
        trainer, home = doors.room("training.trainer"), ModelHome(tables.location)
        train = trainer.train_all_here if is_light else trainer.train
        train(runs, home, hearing(stage, show))


def _is_light(tables: Tables, how: Optimization) -> bool:
    """Tell whether training is over before workers would have started: a linear head, alone."""
    is_alone = how.most_workers == 1 and not how.use_gpu
    num_groups = len(group.works(tables.shards, {}))
    return (
        how.network == "linear" and is_alone and num_groups <= tables.project.engine.driver_groups
    )


def hearing(stage: str, show: Show) -> Callable[[Any], None]:
    """Show what workers say of their epochs."""

    def hear(news: Any) -> None:
        epoch = int(news.record["epoch"])
        if news.earlier:
            tell(f"{stage}: {news.name} goes on after epoch {epoch} of {news.epochs}")
            return
        figures = [
            f"{key.replace('_', ' ')} {news.record[key]:.4f}"
            for key in ("loss", "validation_loss", "validation_accuracy")
            if key in news.record
        ]
        rate = f"{news.record['images_per_s']:,.0f} images/s"
        show.step(f"{news.name} epoch {epoch}/{news.epochs}, {', '.join(figures)}, {rate}")

    return hear


def _refuse_too_many(how: Optimization, resources: Resources) -> None:
    least = how.least_workers
    for unit, each, has in (
        ("CPUs", how.cpus_per_worker, resources.cpus),
        ("GPUs", how.gpus_per_worker if how.use_gpu else 0.0, resources.gpus),
    ):
        if least * each > has:
            raise ClusterTooSmall(
                f"training.workers: {least} of {each:g} {unit} each need {least * each:g}, "
                f"the cluster has {has:g}"
            )


def predict_networks(tables: Tables, networks: Sequence[Network]) -> tuple[list[Receipt], int]:
    """Run some trained networks over all images; give receipts, and how many groups there are."""
    derived = {network.folder: tables.predictions(network) for network in networks}
    receipts: list[Receipt] = []
    for mine, works in prediction_works(networks, derived):
        lacking = {folder for work in works for folder in work.lacking}
        found = {}
        for network in mine:
            if network.folder not in lacking:
                continue
            if not tables.location.exists(network.file):
                raise WorkLeft(f"{network.file} is missing; run the stage train first")
            found[network.folder] = trained(tables, network, derived[network.folder])
        step = Predict(tables.location, found, len(tables.project.classes))
        is_linear = all(network.how.network == "linear" for network in mine)
        spread = Spread.CHEAP if is_linear else Spread.GPU
        receipts += drive(tables.project.engine, "predict", step, works, spread=spread)
    for table in derived.values():
        table.table.supersede(table.state)
    return receipts, max((len(d.works) for d in derived.values()), default=0)
