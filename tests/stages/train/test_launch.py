"""Training starts where it is worth it, and not where it can never run."""

import pytest

from tests.conftest import CNN, LINEAR, Learnable
from wslabel.engine.plan import Node, Resources
from wslabel.engine.progress import Show
from wslabel.errors import ClusterTooSmall
from wslabel.stages.train import train
from wslabel.stages.train.launch import refuse_too_many, showing_events
from wslabel.training.events import EpochEvent
from wslabel.workspace.workspace import Workspace


def test_more_workers_than_the_cluster_holds_are_refused(learnable: Learnable) -> None:
    project = learnable.load(name="many", training=LINEAR | {"workers": 3, "epochs": 9})
    with pytest.raises(
        ClusterTooSmall, match=r"training.workers: 3 of 1 CPUs, .* 2 find room: .* has 2"
    ):
        train.run(Workspace(project))


def test_a_group_that_may_shrink_needs_room_for_the_fewest(learnable: Learnable) -> None:
    project = learnable.load(name="elastic", training=LINEAR | {"workers": [2, 9]})
    refuse_too_many(project.training, Resources((Node(2.0),)))
    with pytest.raises(
        ClusterTooSmall,
        match=r"2 of 1 CPUs, 0 GPUs each are needed, 1 find room: the cluster has 1",
    ):
        refuse_too_many(project.training, Resources((Node(1.0),)))


@pytest.mark.parametrize("nodes", [(Node(2.0, 1.0), Node(8.0)), (Node(3.0), Node(3.0))])
def test_workers_live_on_one_machine_each(learnable: Learnable, nodes: tuple[Node, ...]) -> None:
    training = CNN | {"use_gpu": nodes[0].gpus > 0, "cpus_per_worker": 4}
    project = learnable.load(name="wide", training=training)
    with pytest.raises(ClusterTooSmall, match=r"1 of 4 CPUs, \d GPUs each are needed, 0 find room"):
        refuse_too_many(project.training, Resources(nodes))


class Lines:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, text: str) -> None:
        self.lines.append(text)


def test_an_epoch_is_shown_with_its_figures() -> None:
    lines = Lines()
    show: Show = lines
    record = {"epoch": 2.0, "loss": 0.5, "validation_accuracy": 0.75, "images_per_s": 1234.5}
    on_event = showing_events("train", show)
    on_event(EpochEvent(name="soft", epochs=5, record=record))
    on_event(
        EpochEvent(name="soft", epochs=5, earlier=(record,), batches=7)
    )  # told elsewhere, and no step
    expected = "soft epoch 2/5, loss 0.5000, validation accuracy 0.7500, 1,234 images/s"
    assert lines.lines == [expected]
