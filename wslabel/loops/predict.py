"""Run a trained network over other images: any source, through the same engine, to Parquet.

What the network reads is made of them exactly as it was for the images it was trained on, in a
workspace of their own; so a run over millions of images resumes like any other.
"""

from pathlib import Path
from typing import Any

from wslabel import pipeline
from wslabel.config import absolute, images_of
from wslabel.engine.drive import Spread, drive
from wslabel.errors import ConfigError, WorkLeft, nearest
from wslabel.pipeline import Outcome, with_labels
from wslabel.settings import Project
from wslabel.steps.predict import Predict, prediction_works, trained
from wslabel.steps.tables import Network, Tables


def predict(project: Project, name: str, source: str, output: str) -> list[Outcome]:
    """Predict the classes of other images.

    Args:
        project: whose network it is.
        name: of the network: original, soft, hard or a variant.
        source: a folder or prefix of images, a CSV or Parquet file, or a YAML file with a
            section `images`.
        output: workspace of these images; `predictions/` in it holds the result.

    Raises:
        ConfigError: there is no such network or source.
        WorkLeft: the network is not trained yet.
    """
    network = find_network(project, name)
    tables = with_labels(project)
    if not tables.location.exists(network.file):
        raise WorkLeft(f"{network.file} is missing; run the stage train first")
    other = project.model_copy(
        update={
            "workspace": absolute(Path.cwd(), output),
            "images": images_of(source),
            "features": {network.how.feature: project.features[network.how.feature]},
            "labeling_functions": [],
            "s3": project.s3,
        }
    )
    if other.workspace == project.workspace:
        raise ConfigError("--output: name another workspace than that of the project")
    outcomes = [pipeline.ingest(other)]
    _same_precision(tables, Tables(other))
    outcomes.append(pipeline.featurize(other))
    return [*outcomes, _predict(tables, Tables(other), network)]


def find_network(project: Project, name: str) -> Network:
    """Give a network of a project by its name.

    Raises:
        ConfigError: the project trains none of that name.
    """
    names = project.training.names if project.training is not None else []
    if name not in names:
        raise ConfigError(f"there is no network '{name}'; {nearest(name, names)}")
    return with_labels(project).networks[name]


def _same_precision(tables: Tables, other: Tables) -> None:
    """Let the feature be computed as it was, and not as this machine finds fastest now."""
    for extractor in other.extractors.values():
        found: Any = tables.constants.get(f"precision-{extractor.identity}")
        if extractor.is_network and found is not None:
            other.constants.keep(f"precision-{extractor.identity}", found)


def _predict(tables: Tables, other: Tables, network: Network) -> Outcome:
    derived = other.predictions(network)
    how = trained(tables, network, derived, inputs=other.inputs_of(network.how))
    ((_, works),) = prediction_works([network], {network.folder: derived})
    step = Predict(other.location, {network.folder: how}, len(tables.project.classes))
    spread = Spread.CHEAP if network.how.network == "linear" else Spread.GPU
    receipts = list(drive(other.project.engine, "predict", step, works, spread=spread))
    num_images = sum(receipt.num_images for receipt in receipts)
    table = other.location.uri(derived.table.folder)
    notes = [f"classes in the order of their ids: {', '.join(tables.project.classes)}"]
    report = {"table": [], "notes": notes, "page": table}
    return Outcome("predict", len(receipts), len(derived.works), num_images, report=report)
