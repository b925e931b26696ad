"""The rows of a window are those of its pieces put together."""

import numpy as np

from wslabel.examples.sampler import assign_batches
from wslabel.examples.window import Rows, Window, join


def rows(piece: int, *inside: int) -> Rows:
    size = len(inside)
    return Rows(np.full(size, piece), np.array(inside, int), np.full((size, 2), 0.5), np.ones(size))


PARTS = [rows(4, 2, 0), rows(7), rows(1, 11)]


def test_rows_of_pieces_stand_one_after_another() -> None:
    joined = join(PARTS)
    assert joined.num_rows == 3
    assert joined.piece_N.tolist() == [4, 4, 1]
    assert joined.row_N.tolist() == [2, 0, 11]
    assert joined.targets_NK.shape == (3, 2)
    assert joined.take(slice(1, None)).row_N.tolist() == [0, 11]


def test_a_worker_needs_its_rows_alone() -> None:
    window = Window(rows=join(PARTS), assignment=assign_batches(3, 2, None), changes=[])
    assert window.needed(0, 1).tolist() == [0, 1, 2]
    # A worker without any image of a batch looks at the first one.
    assert window.needed(0, 2).tolist() == [0]
    assert window.needed(1, 2).tolist() == [1, 2]
    assert window.needed(0, 5).tolist() == [0]


def test_what_lies_before_the_first_batch_is_not_needed() -> None:
    window = Window(rows=join(PARTS), assignment=assign_batches(3, 2, None), changes=[])
    assert window.assignment.batch_N.tolist() == [0, 0, 1]
    assert window.needed(0, 1, first=1).tolist() == [2]
    assert window.needed(0, 1, first=2).tolist() == []


def test_rows_are_found_by_their_piece() -> None:
    window = Window(rows=join(PARTS), assignment=assign_batches(3, 8, None), changes=[])
    found = {piece: at.tolist() for piece, at in window.by_piece(np.array([0, 1, 2]))}
    assert found == {1: [2], 4: [0, 1]}
