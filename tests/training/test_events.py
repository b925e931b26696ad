"""Events are taken once, in their order, and a failure stays."""

from wslabel.errors import TrainingError
from wslabel.training.events import EpochEvent, EventQueue


def test_events_are_taken_once_in_their_order() -> None:
    queue = EventQueue()
    events = [EpochEvent(name="soft", epochs=3, record={"epoch": float(epoch)}) for epoch in (1, 2)]
    for event in events:
        queue.post(event)
    assert queue.take() == events
    assert queue.take() == []


def test_a_failure_stays() -> None:
    queue = EventQueue()
    assert queue.failure() is None
    error = TrainingError("nothing to learn")
    queue.fail(error)
    assert queue.failure() is queue.failure() is error
