"""The whole story on real photos with real networks: configs/real-scenes.yaml."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from PIL import Image
from snorkel.labeling import LFAnalysis
from snorkel.labeling.model import LabelModel

from tests.conftest import write_config
from tests.small import feature
from wslabel import pipeline
from wslabel.columns import to_array
from wslabel.examples.targets import one_hot
from wslabel.label_model.parameters import Parameters
from wslabel.networks.factory import BuildLinear
from wslabel.networks.modules import LinearHead
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.report.evaluation import Evaluation
from wslabel.stages.evaluate import EvaluateResult
from wslabel.storage.table import shard_name
from wslabel.training.batch import Batch
from wslabel.training.loop import fit
from wslabel.training.run import Run
from wslabel.training.supervised import Supervised
from wslabel.training.worker_context import WorkerContext
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.images import class_ids, votes_matrix
from wslabel.workspace.workspace import Workspace

pytestmark = [pytest.mark.long, pytest.mark.real, pytest.mark.timeout(900)]

CONFIGS = Path(__file__).parents[1] / "configs"
SEEDS, FOLDS = 5, 5


@dataclass(frozen=True)
class Story:
    """A finished run and what its tables hold, in the order of the shards."""

    project: Project
    evaluation: Evaluation
    ids: list[str]
    split_N: np.ndarray
    truth_N: np.ndarray
    votes_NM: np.ndarray
    labels: pa.Table
    embeddings_ND: np.ndarray


def real_project(name: str, real: Path, folder: Path) -> Project:
    text = (CONFIGS / f"{name}.yaml").read_text().replace("../../shared/real", str(real))
    config = yaml.safe_load(text) | {"workspace": str(folder / "ws")}
    return load(write_config(folder / "p.yaml", config))


@pytest.fixture(scope="module")
def story(real: Path, cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("real")
    project = real_project("real-scenes", real, folder)
    (evaluated,) = [r for r in pipeline.run(project) if isinstance(r, EvaluateResult)]
    workspace = Workspace(project)
    images = pa.concat_tables(workspace.images.read(shard_name(s)) for s in workspace.shards)
    embeddings = feature(project, "lite0").column("embedding")
    return Story(
        project=project,
        evaluation=evaluated.evaluation,
        ids=images.column("image_id").to_pylist(),
        split_N=images.column("split").to_numpy(),
        truth_N=class_ids(images.column("truth"), tuple(project.classes)),
        votes_NM=votes_matrix(whole(workspace.votes)),
        labels=whole(workspace.labels),
        embeddings_ND=to_array(embeddings).astype(np.float32),
    )


def whole(derived: GroupTable) -> pa.Table:
    return pa.concat_tables(derived.table.read(item.name) for item in derived.items)


def test_the_project_of_three_classes_is_whole(real: Path, tmp_path: Path) -> None:
    highway = real_project("real-highway", real, tmp_path)
    assert highway.comparison.self_training
    assert {function.kind for function in highway.labeling_functions} == {"category", "similarity"}


def test_color_votes_equal_a_straightforward_computation(story: Story, real: Path) -> None:
    expected = np.array([_color_votes(real / "scenes" / i) for i in story.ids])
    assert np.array_equal(story.votes_NM[:, :2], expected)
    for column in expected.T:
        covered = column >= 0
        print(covered.mean(), (column == story.truth_N)[covered].mean())
    assert 0.6 < (expected[:, 0] >= 0).mean() < 0.8


def _color_votes(path: Path) -> tuple[int, int]:
    """The tutorial's two functions, as it writes them: argmax over OpenCV's channel order."""
    bgr = np.asarray(Image.open(path))[:, :, ::-1]
    vote = {0: 1, 1: 0, 2: -1}
    per_pixel = np.bincount(bgr.argmax(axis=2).ravel(), minlength=3)
    return vote[int(bgr.mean(axis=(0, 1)).argmax())], vote[int(per_pixel.argmax())]


# SciPy warns of what Snorkel's own analysis passes to it.
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_analysis_equals_snorkels(story: Story) -> None:
    names = [f.name for f in story.project.labeling_functions]
    summary = LFAnalysis(story.votes_NM).lf_summary(Y=story.truth_N)
    scores = [asdict(score) for score in story.evaluation.functions]
    columns = {"coverage": "Coverage", "overlaps": "Overlaps", "conflicts": "Conflicts"}
    columns |= {"correct": "Correct", "incorrect": "Incorrect", "empirical_accuracy": "Emp. Acc."}
    for row, name in enumerate(names):
        assert scores[row]["name"] == name
        for ours, theirs in columns.items():
            assert scores[row][ours] == summary[theirs].iloc[row], (name, ours)


def test_label_model_equals_snorkels(story: Story) -> None:
    parameters = Workspace(story.project).fitted
    assert isinstance(parameters, Parameters)
    model = LabelModel(cardinality=2, verbose=False)
    model.fit(story.votes_NM[story.split_N == "train"], n_epochs=500, seed=123, progress_bar=False)
    assert np.array_equal(parameters.mu, model.mu.detach().numpy())
    voted = (story.votes_NM >= 0).any(axis=1)
    expected = model.predict_proba(story.votes_NM)
    probs_NK = to_array(story.labels.column("probabilities"))
    assert np.abs(probs_NK[voted] - expected[voted]).max() < 1e-6
    assert np.isnan(probs_NK[~voted]).all()


def test_weak_labels_are_good(story: Story) -> None:
    labels_N = to_array(story.labels.column("label"))
    labeled = labels_N >= 0
    accuracy = (labels_N == story.truth_N)[labeled].mean()
    print(f"accuracy {accuracy:.4f} at coverage {labeled.mean():.4f}")
    assert labeled.mean() >= 0.95
    assert accuracy >= 0.93


@dataclass(frozen=True)
class Fold:
    inputs: np.ndarray
    targets_NK: np.ndarray

    def __call__(self, epoch: int, rank: int, world_size: int, first: int = 0) -> Iterator[Batch]:
        order = np.random.default_rng(epoch).permutation(len(self.inputs))
        for start in range(32 * first, len(order), 32):
            rows = order[start : start + 32]
            weights_N, count = np.ones(len(rows), np.float32), len(rows)
            yield Batch(
                inputs=self.inputs[rows],
                targets_NK=self.targets_NK[rows],
                weights_N=weights_N,
                total=count,
                sizes=(count,),
            )


def test_soft_labels_train_nearly_as_well_as_truth(story: Story) -> None:
    probs_NK = to_array(story.labels.column("probabilities"))
    truth_NK = one_hot(story.truth_N, 2)
    labeled = ~np.isnan(probs_NK[:, 0])
    hits = {"truth": [], "soft": []}  # type: dict[str, list[np.ndarray]]
    for seed in range(SEEDS):
        fold_N = np.random.default_rng(seed).permutation(len(truth_NK)) % FOLDS
        pooled = {name: np.zeros(len(truth_NK)) for name in hits}
        for fold in range(FOLDS):
            train, held = fold_N != fold, fold_N == fold
            for name, targets, rows in (
                ("truth", truth_NK, train),
                ("soft", probs_NK, train & labeled),
            ):
                labels_N = _held_out(story, targets, rows, held, seed)
                pooled[name][held] = labels_N == story.truth_N[held]
        for name, right in pooled.items():
            hits[name].append(right)
    right = {name: np.mean(runs, axis=0) for name, runs in hits.items()}
    gap_N = right["truth"] - right["soft"]
    # Paired over images: each image's mean gap over the seeds is one draw.
    half = 1.96 * gap_N.std(ddof=1) / np.sqrt(len(gap_N))
    print(
        f"truth {right['truth'].mean():.4f} soft {right['soft'].mean():.4f} "
        f"gap {100 * gap_N.mean():.2f} points, 95 % interval +-{100 * half:.2f}"
    )
    assert gap_N.mean() <= 0.02


def _held_out(
    story: Story, targets: np.ndarray, rows: np.ndarray, held: np.ndarray, seed: int
) -> Any:
    dim = story.embeddings_ND.shape[1]
    training = story.project.training
    assert training is not None
    settings = training.model_copy(update={"seed": seed})
    run = Run(
        name="fold",
        folder="models/fold",
        build=BuildLinear(dim, 2),
        settings=settings,
        objective=Supervised(settings),
        train=Fold(story.embeddings_ND[rows], targets[rows].astype(np.float32)),
    )
    fitted = fit(run, WorkerContext())
    head = LinearHead(dim, 2)
    head.load_state_dict(fitted.tensors)
    weights, bias = head.linear.weight.detach().numpy(), head.linear.bias.detach().numpy()
    return (story.embeddings_ND[held] @ weights.T + bias).argmax(axis=1)
