"""Training in this process: what is there is not trained again, and each epoch is told once."""

from dataclasses import dataclass, field

import torch

from tests.training.toys import a_run
from wslabel.training.checkpoints import State
from wslabel.training.events import EpochEvent, Record
from wslabel.training.local import alone, train_here
from wslabel.training.run import Run


@dataclass
class Shelf:
    """Keeps networks and the last checkpoint of each in memory."""

    states: dict[str, State] = field(default_factory=dict)
    networks: dict[str, bytes] = field(default_factory=dict)
    logged: list[tuple[str, float]] = field(default_factory=list)

    def is_done(self, run: Run) -> bool:
        return run.folder in self.networks

    def checkpoints(self, run: Run) -> "Place":
        return Place(self, run.folder)

    def finish(self, run: Run, network: bytes, history: list[Record], best_epoch: int) -> None:
        self.networks[run.folder] = network

    def log(self, run: Run, record: Record) -> None:
        self.logged.append((run.name, record["epoch"]))


@dataclass(frozen=True)
class Place:
    shelf: Shelf
    folder: str

    def latest(self) -> State | None:
        return self.shelf.states.get(self.folder)

    def keep(self, epoch: int, state: State) -> None:
        self.shelf.states[self.folder] = state


def test_networks_are_trained_one_after_another_and_only_once() -> None:
    shelf, events = Shelf(), list[EpochEvent]()
    first, second = a_run(), a_run(name="other", folder="models/other")
    train_here([first], shelf, events.append)
    train_here([first, second], shelf, events.append)
    assert [event.name for event in events] == ["toy"] * 3 + ["other"] * 3
    assert shelf.logged == [(name, epoch) for name in ("toy", "other") for epoch in (1, 2, 3)]
    assert shelf.networks.keys() == {"models/toy", "models/other"}
    assert shelf.networks["models/toy"] == shelf.networks["models/other"]


def test_who_goes_on_tells_of_the_epochs_before() -> None:
    whole, cut, events = Shelf(), Shelf(), list[EpochEvent]()
    train_here([a_run()], whole, lambda event: None)
    train_here([a_run()], cut, lambda event: None)
    del cut.networks["models/toy"]
    train_here([a_run()], cut, events.append)  # from the last checkpoint, at its end
    (event,) = events
    assert [record["epoch"] for record in event.earlier] == [1, 2, 3]
    assert event.record == event.earlier[-1]
    assert cut.networks == whole.networks


def test_threads_are_as_many_as_before() -> None:
    threads = torch.get_num_threads()
    train_here([a_run()], Shelf(), lambda event: None)
    assert torch.get_num_threads() == threads


def test_a_worker_alone_is_where_the_settings_say() -> None:
    worker = alone(a_run().settings)
    assert (worker.rank, worker.world_size, worker.device.type) == (0, 1, "cpu")
