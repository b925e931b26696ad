"""A run is what the project says: examples, targets, weights of classes, and a card."""

from tests.conftest import CNN, LINEAR, Learnable
from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.examples import TableExamples
from wslabel.stages.train.runs import pretraining_run, training_run, training_targets
from wslabel.training.self_supervised import Rotation, SimClr
from wslabel.workspace.workspace import Workspace

CONSISTENCY = {"kind": "kl", "unlabeled": True}


def test_classes_are_weighed_by_the_labels_that_count(learnable: Learnable) -> None:
    weights = []
    for more in ({}, {"label_smoothing": 0.4, "consistency": CONSISTENCY, "augment": {}}):
        settings = CNN | {"labels": "soft", "class_weights": "balanced"}
        settings |= {"confidence_threshold": 0.7} | more
        workspace = Workspace(learnable.load(name="weighed", training=settings))
        weights.append(training_targets(workspace, workspace.networks["soft"]).class_weights)
    assert weights[0] == weights[1]
    assert weights[0] != (1.0, 1.0)


def test_training_and_validation_share_what_is_decoded(learnable: Learnable) -> None:
    settings = CNN | {"labels": "soft", "validate_on": "weak"}
    workspace = Workspace(learnable.load(name="shared", training=settings))
    decoded = DecodedImages()
    run = training_run(workspace, workspace.networks["soft"], decoded)
    assert isinstance(run.train, TableExamples)
    assert isinstance(run.validate, TableExamples)
    assert run.train.decoded is run.validate.decoded is decoded
    assert (run.train.seed, run.validate.seed) == (0, None)
    assert (run.train.targets.splits, run.validate.targets.splits) == (("train",), ("val",))
    assert run.validate.batch_size == 256


def test_two_views_are_made_where_the_settings_compare_them(learnable: Learnable) -> None:
    settings = CNN | {"labels": "soft", "consistency": CONSISTENCY, "augment": {}}
    pretraining = CNN | {"method": "simclr", "augment": {}}
    project = learnable.load(name="views", training=settings, pretraining=pretraining)
    workspace = Workspace(project)
    learning = training_run(workspace, workspace.networks["soft"])
    simclr = pretraining_run(workspace, project.pretraining)
    rotation_settings = project.pretraining.model_copy(update={"method": "rotation"})
    rotation = pretraining_run(workspace, rotation_settings)
    views = [run.train.views for run in (learning, simclr, rotation)]  # type: ignore[attr-defined]
    assert views == [2, 2, 1]
    assert isinstance(simclr.objective, SimClr)
    assert isinstance(rotation.objective, Rotation)


def test_a_card_says_what_a_network_is(learnable: Learnable) -> None:
    project = learnable.load(name="card", training=LINEAR | {"labels": "hard"})
    workspace = Workspace(project)
    network = workspace.networks["hard"]
    card = training_run(workspace, network).card
    assert card["classes"] == ["jungle", "sea"]
    assert (card["name"], card["labels"], card["network"]) == ("hard", "hard", "linear")
    assert card["fingerprint"] == network.folder.rpartition("-")[2]


def test_how_often_checkpoints_are_kept_names_no_other_network(learnable: Learnable) -> None:
    folders = set()
    for more in ({}, {"checkpoint_every_s": 5.0}, {"checkpoint_every_s": None}):
        sections = {"training": LINEAR | {"labels": "hard"} | more}
        sections["pretraining"] = CNN | {"method": "rotation"} | more
        workspace = Workspace(learnable.load(name="often", **sections))
        folders.add((workspace.networks["hard"].folder, workspace.pretrained))
    assert len(folders) == 1
