"""Training in this process: what is there is not trained again, and each epoch is told once."""

import io
import pickle
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.training.test_loop import AT_ONCE, Deadly, Killed, long_epochs
from tests.training.toys import a_run, in_a_group_of_two
from wslabel.errors import TrainingError
from wslabel.training.checkpoints import Position, State, pack, serialize, unpack
from wslabel.training.events import EpochEvent, Record
from wslabel.training.local import alone, train_here, train_run
from wslabel.training.loop import fit
from wslabel.training.run import Run
from wslabel.training.worker_context import WorkerContext, bytes_from_first


@dataclass
class Shelf:
    """Keeps networks and the last checkpoint of each in memory."""

    states: dict[str, bytes] = field(default_factory=dict)
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

    def latest(self) -> bytes | None:
        return self.shelf.states.get(self.folder)

    def keep(self, position: Position, state: State) -> None:
        sink = io.BytesIO()
        pack(state, sink)
        self.shelf.states[self.folder] = sink.getvalue()


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
    assert (event.record, event.batches) == (None, 0)
    assert cut.networks == whole.networks


def test_threads_are_as_many_as_before() -> None:
    threads = torch.get_num_threads()
    train_here([a_run()], Shelf(), lambda event: None)
    assert torch.get_num_threads() == threads


def test_a_worker_alone_is_where_the_settings_say() -> None:
    worker = alone(a_run().settings)
    assert (worker.rank, worker.world_size, worker.device.type) == (0, 1, "cpu")


def killed_after(epochs: int, run: Run) -> bytes:
    """Give the checkpoint that a run leaves which is killed after some epochs."""
    shelf = Shelf()

    def on_event(event: EpochEvent) -> None:
        if len(shelf.logged) == epochs + 1:
            raise RuntimeError

    with suppress(RuntimeError):
        train_here([run], shelf, on_event)
    return shelf.states[run.folder]


@dataclass
class Failing(Shelf):
    """Cannot do one thing."""

    what: str = ""

    def log(self, run: Run, record: Record) -> None:
        if self.what == "log" and record["epoch"] == 2:
            raise OSError("no room")

    def finish(self, run: Run, network: bytes, history: list[Record], best_epoch: int) -> None:
        if self.what == "finish":
            raise OSError("no room")
        super().finish(run, network, history, best_epoch)

    def is_done(self, run: Run) -> bool:
        if self.what == "is_done":
            raise OSError("no room")
        return super().is_done(run)

    def checkpoints(self, run: Run) -> "Place":
        return FullPlace(self, run.folder) if self.what == "keep" else Place(self, run.folder)


class FullPlace(Place):
    def keep(self, position: Position, state: State) -> None:
        raise OSError("no room")


FAILING = ("is_done", "log", "keep", "finish")


def work(worker: WorkerContext, folder: str) -> None:
    """Go on from what each worker sees, which differs; then with stores that fail."""
    run, found = a_run(), dict[str, Any]()
    for name, epochs in (("none", (0, 2)), ("newer", (2, 1)), ("older", (1, 2))):
        shelf, events = Shelf(), list[EpochEvent]()
        if epochs[worker.rank]:
            shelf.states[run.folder] = killed_after(epochs[worker.rank], run)
        train_run(run, shelf, worker, events.append)
        found[name] = [len(events), shelf.networks.get(run.folder)]
    for what in FAILING:
        try:
            train_run(run, Failing(what=what), worker, lambda event: None)
        except (OSError, TrainingError) as error:
            found[what] = f"{type(error).__name__}: {error}"
    found["within"] = killed_within_an_epoch(worker)
    Path(folder, str(worker.rank)).write_bytes(pickle.dumps(found))


def killed_within_an_epoch(worker: WorkerContext) -> list[bytes]:
    """Give what a group ends with that goes on within an epoch, and one that was not killed."""
    run, shelf = long_epochs(**AT_ONCE), Deadly(Position(0, 16))
    with pytest.raises((Killed, TrainingError)):
        fit(run, worker, None, shelf)
    state = unpack(bytes_from_first(shelf.latest(), worker))
    return [serialize(fit(run, worker, state)), serialize(fit(run, worker))]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two workers found."""
    folder = tmp_path_factory.mktemp("group")
    in_a_group_of_two(work, str(folder))
    return [pickle.loads((folder / str(rank)).read_bytes()) for rank in range(2)]


@pytest.mark.parametrize(("name", "num_events"), [("none", 3), ("newer", 2), ("older", 3)])
def test_a_group_goes_on_from_what_its_first_worker_reads(
    together: list[dict[str, Any]], name: str, num_events: int
) -> None:
    first, second = (found[name] for found in together)
    assert first[0] == second[0] == num_events
    assert second[1] is None  # the first one keeps it
    alone = Shelf()
    train_here([a_run()], alone, lambda event: None)
    ours, theirs = (
        safetensors.torch.load(data) for data in (first[1], alone.networks["models/toy"])
    )
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-5) for key in theirs)


def test_a_group_killed_within_an_epoch_ends_as_one_that_was_not(
    together: list[dict[str, Any]],
) -> None:
    for found in together:
        resumed, whole = found["within"]
        assert resumed == whole


@pytest.mark.parametrize("what", FAILING)
def test_nobody_waits_for_a_first_worker_that_failed(
    together: list[dict[str, Any]], what: str
) -> None:
    first, second = (found[what] for found in together)
    assert first == "OSError: no room"
    assert second == "TrainingError: the first worker of the group failed"
