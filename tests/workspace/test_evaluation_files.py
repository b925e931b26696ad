"""The files of each group that are compared with truth."""

from tests.conftest import LINEAR, Learnable
from wslabel.workspace.evaluation_files import evaluation_files, read_path
from wslabel.workspace.workspace import Workspace


def test_each_group_names_votes_labels_and_predictions(learnable: Learnable) -> None:
    workspace = Workspace(learnable.load(name="files", training=LINEAR))
    (files,) = evaluation_files(workspace)
    assert (files.key, files.shards) == (0, tuple(range(8)))
    assert files.votes is not None
    assert files.labels is not None
    assert files.votes == f"{workspace.votes.table.folder}/00000-00007.parquet"
    assert list(files.predictions) == ["original", "soft", "hard"]
    assert files.predictions["hard"].startswith("predictions/hard-")
    labels = read_path(workspace.location, files.labels, ["image_id", "label"])
    assert (labels.num_rows, labels.column_names) == (60, ["image_id", "label"])


def test_without_functions_there_are_predictions_alone(learnable: Learnable) -> None:
    training = LINEAR | {"labels": "original"}
    project = learnable.load(name="truth", training=training, labeling_functions=[])
    (files,) = evaluation_files(Workspace(project))
    assert (files.votes, files.labels, list(files.predictions)) == (None, None, ["original"])


def test_without_either_there_is_nothing_to_compare(learnable: Learnable) -> None:
    assert evaluation_files(Workspace(learnable.load(name="none", labeling_functions=[]))) == []
