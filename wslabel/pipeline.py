"""The story as data: ingest, featurize, vote, label, pretrain, train, predict, evaluate, report.

Each stage does what is missing and nothing else, so running again is resuming. A stage's module is
imported when there is work for it: a run that finds all tables made loads neither torch nor Ray.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wslabel.config.paths import absolute
from wslabel.config.problems import chosen
from wslabel.errors import ConfigError, nearest
from wslabel.exports.registry import EXPORTS
from wslabel.project.project import Project
from wslabel.sources.registry import images_of
from wslabel.stages import export_labels as exporting
from wslabel.stages.result import PredictResult, PretrainResult, StageResult, TrainResult
from wslabel.workspace import log
from wslabel.workspace.constants import as_a
from wslabel.workspace.networks import Network
from wslabel.workspace.requirements import require_features, require_labels, require_network
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """What a run is asked beyond what the project file says.

    Attributes:
        retry: Error kinds whose images are taken up again.
        refresh: Whether thresholds that are given by quantile are found anew.
        shards: Shards that are worked on, whatever is ingested meanwhile; None for all.
    """

    retry: frozenset[str] = frozenset()
    refresh: bool = False
    shards: tuple[int, ...] | None = None


def _never(_: Workspace) -> None:
    """Leave it to the stage to look for work."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the story.

    Attributes:
        name: Name for people, jobs and `--until`.
        applies: Tells whether a project asks for it.
        missing: What a project file lacks where it does not apply.
        run: Does what is missing; imports the stage.
        finished: Gives the result where nothing is missing, without importing the stage; None where
            it must run. A stage that is light anyway looks for itself.
        is_logged: Whether its time is kept for the page.
    """

    name: str
    applies: Callable[[Project], bool] = lambda _: True
    missing: str = ""
    run: Callable[[Workspace, Options], StageResult]
    finished: Callable[[Workspace], StageResult | None] = _never
    is_logged: bool = True


def _ingest(workspace: Workspace, _: Options) -> StageResult:
    from wslabel.stages import ingest  # noqa: PLC0415 - dispatches a stage

    return ingest.run(workspace)


def _featurize(workspace: Workspace, options: Options) -> StageResult:
    from wslabel.stages.featurize import featurize  # noqa: PLC0415 - dispatches a stage

    if workspace.missing_shards():
        preflight(workspace)
    return featurize.run(workspace, options.retry)


def preflight(workspace: Workspace) -> None:
    """Refuse what would otherwise be found wrong hours after the first image is fetched.

    Raises:
        WslabelError: Something that the project file asks for cannot be had.
    """
    from wslabel.stages import preflight as stage_preflight  # noqa: PLC0415 - not needed without work

    stage_preflight.run(workspace)
    if workspace.project.training is not None or workspace.project.pretraining is not None:
        from wslabel.stages.train.runs import check_networks  # noqa: PLC0415 - loads torch

        check_networks(workspace)


def _vote(workspace: Workspace, options: Options) -> StageResult:
    from wslabel.stages import vote  # noqa: PLC0415 - dispatches a stage

    return vote.run(workspace.anew(refresh=options.refresh))


def _label(workspace: Workspace, _: Options) -> StageResult:
    from wslabel.stages import label  # noqa: PLC0415 - dispatches a stage

    return label.run(workspace)


def _pretrain(workspace: Workspace, _: Options) -> StageResult:
    from wslabel.stages.train import pretrain  # noqa: PLC0415 - dispatches a stage

    return pretrain.run(workspace)


def _train(workspace: Workspace, _: Options) -> StageResult:
    from wslabel.stages.train import train  # noqa: PLC0415 - dispatches a stage

    return train.run(workspace)


def _predict(workspace: Workspace, _: Options) -> StageResult:
    from wslabel.stages.predict import predict  # noqa: PLC0415 - dispatches a stage

    return predict.run(workspace)


def _evaluate(workspace: Workspace, _: Options) -> StageResult:
    from wslabel.stages import evaluate  # noqa: PLC0415 - dispatches a stage

    return evaluate.run(workspace)


def _report(workspace: Workspace, _: Options) -> StageResult:
    from wslabel.stages.report import report  # noqa: PLC0415 - dispatches a stage

    return report.run(workspace)


def _pretrained(workspace: Workspace) -> PretrainResult | None:
    require_features(workspace)
    settings = workspace.project.pretraining
    if settings is None or not workspace.location.exists(workspace.pretrained_file):
        return None
    if settings.probe is None:
        return PretrainResult(total=1)
    probe = workspace.constants.get(workspace.probe, as_a(dict[str, float]))
    return None if probe is None else PretrainResult(total=1, probe=probe)


def _trained(workspace: Workspace) -> TrainResult | None:
    require_labels(workspace)
    networks = workspace.networks.values()
    if not all(workspace.location.exists(network.file) for network in networks):
        return None
    return TrainResult(total=len(networks))


def _predicted(workspace: Workspace) -> PredictResult | None:
    require_labels(workspace)
    tables = [workspace.predictions(network) for network in workspace.networks.values()]
    # A run that was killed may have left files of older generations, which the stage removes.
    if any(table.missing or table.leftovers for table in tables):
        return None
    return PredictResult(total=max((len(table.items) for table in tables), default=0))


def _has_functions(project: Project) -> bool:
    return bool(project.labeling_functions)


def _has_training(project: Project) -> bool:
    return project.training is not None


def _has_results(project: Project) -> bool:
    return _has_functions(project) or _has_training(project)


STAGES = (
    Stage(name="ingest", run=_ingest),
    Stage(name="featurize", run=_featurize),
    Stage(name="vote", run=_vote, applies=_has_functions, missing="labeling_functions"),
    Stage(name="label", run=_label, applies=_has_functions, missing="labeling_functions"),
    Stage(
        name="pretrain",
        run=_pretrain,
        applies=lambda project: project.pretraining is not None,
        missing="pretraining",
        finished=_pretrained,
    ),
    Stage(name="train", run=_train, applies=_has_training, missing="training", finished=_trained),
    Stage(
        name="predict",
        run=_predict,
        applies=_has_training,
        missing="training",
        finished=_predicted,
    ),
    Stage(
        name="evaluate",
        run=_evaluate,
        applies=_has_results,
        missing="labeling_functions or training",
    ),
    Stage(
        name="report",
        run=_report,
        applies=_has_results,
        missing="labeling_functions or training",
        is_logged=False,
    ),
)
"""All stages, in the order of the story."""


def run(
    project: Project,
    *,
    first: str | None = None,
    until: str | None = None,
    options: Options | None = None,
) -> Iterator[StageResult]:
    """Do what is not yet done, in order, and tell about each stage as it ends.

    Args:
        project: What to do.
        first: Name of the first stage to do; None begins with the images.
        until: Name of the last stage to do; None for all.
        options: What is asked beyond what the project file says.

    Raises:
        ConfigError: There is no such stage.
    """
    begin = 0 if first is None else STAGES.index(stage(first))
    last = len(STAGES) if until is None else STAGES.index(stage(until)) + 1
    for one in STAGES[begin:last]:
        if one.applies(project):
            yield do(one, project, options)


def run_stage(project: Project, name: str, options: Options | None = None) -> StageResult:
    """Do one stage alone.

    Raises:
        ConfigError: There is no such stage, or the project file lacks what it needs.
        WorkLeft: The stages before it are not done.
    """
    one = stage(name)
    if not one.applies(project):
        raise ConfigError(f"{one.missing}: is missing; the stage {name} needs it")
    return do(one, project, options)


def do(one: Stage, project: Project, options: Options | None = None) -> StageResult:
    """Do one stage, unless nothing is missing, and keep how long it took."""
    options = options or Options()
    workspace = Workspace(project, shards=options.shards)
    result = one.finished(workspace) or one.run(workspace, options)
    if result.made and one.is_logged:
        entry = {"stage": result.stage, "made": result.made, "errors": dict(result.errors)}
        entry |= {"num_images": result.num_images, "seconds": result.seconds}
        log.note(workspace.location, entry)
    return result


def stage(name: str) -> Stage:
    """Look a stage up by its name.

    Raises:
        ConfigError: There is none of that name.
    """
    names = [one.name for one in STAGES]
    if name not in names:
        raise ConfigError(f"there is no stage '{name}'; {nearest(name, names)}")
    return STAGES[names.index(name)]


def predict_images(
    project: Project, network_name: str, source: str, output: str
) -> Iterator[StageResult]:
    """Run a trained network over other images, in a workspace of their own.

    What the network reads is made of them exactly as it was for the images that it was trained on,
    through the same stages; so a run over millions of images resumes like any other.

    Args:
        project: Project that trained the network.
        network_name: original, soft, hard or a variant.
        source: A folder or prefix of images, a CSV or Parquet file, or a YAML file with a section
            `images`.
        output: Workspace of these images; `predictions/` in it holds the result.

    Raises:
        ConfigError: There is no such network or source.
        WorkLeft: The network is not trained yet.
    """
    from wslabel.stages.predict import predict  # noqa: PLC0415 - dispatches a stage

    workspace, network = Workspace(project), require_trained(project, network_name)
    other = project.model_copy(
        update={
            "workspace": absolute(Path.cwd(), output),
            "images": images_of(source),
            "features": {network.settings.feature: project.features[network.settings.feature]},
            "labeling_functions": [],
            "pretraining": None,
            "training": None,
        }
    )
    if other.workspace == project.workspace:
        raise ConfigError("--output: name another workspace than that of the project")
    yield do(stage("ingest"), other)
    Workspace(other).keep_precisions_of(workspace)
    yield do(stage("featurize"), other)
    yield predict.run_other(workspace, Workspace(other), network)


def export(project: Project, network_name: str, output: Path | None = None) -> list[str]:
    """Make a trained network an ONNX file, beside its safetensors and its card; name the files.

    Args:
        project: Project that trained the network.
        network_name: original, soft, hard or a variant.
        output: Folder that gets a copy of the files; None leaves them in the workspace.

    Raises:
        ConfigError: There is no such network, or the extra that ONNX needs is not installed.
        WorkLeft: The network is not trained yet.
    """
    from wslabel.stages import export as stage_export  # noqa: PLC0415 - dispatches a stage

    network = require_trained(project, network_name)
    return stage_export.export(Workspace(project), network, output)


def export_labels(
    project: Project, settings: Mapping[str, object], table: str, output: Path | None = None
) -> str:
    """Write labels or predictions of all images as one file; give its path.

    Args:
        project: Project whose labels they are.
        settings: How they are written, as `{"kind": "csv"}`.
        table: labels or predictions/NETWORK.
        output: Folder of the file; None takes the current one.

    Raises:
        ConfigError: There is no such export or table, or there is such a file already.
        WorkLeft: The table is not made yet, or not whole.
    """
    config = chosen(EXPORTS, settings, key="labels", file=Path("export"), folder=Path.cwd())
    return exporting.export_labels(Workspace(project), config, table, output)


def require_trained(project: Project, name: str) -> Network:
    """Give a network of a project by its name.

    Raises:
        ConfigError: The project trains none of that name.
        WorkLeft: It is not trained yet.
    """
    names = project.training.names if project.training is not None else []
    if name not in names:
        raise ConfigError(f"there is no network '{name}'; {nearest(name, names)}")
    workspace = Workspace(project)
    require_labels(workspace)
    network = workspace.networks[name]
    require_network(workspace, network)
    return network
