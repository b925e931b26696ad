"""The rows of a window are those of its pieces put together."""

import numpy as np

from wslabel.examples.sampler import assign_batches
from wslabel.examples.targets import ShardTargets
from wslabel.examples.window import Piece, Window, join


def targets(*chosen: bool) -> ShardTargets:
    size = len(chosen)
    return ShardTargets(np.full((size, 2), 0.5), np.ones(size), np.array(chosen, bool))


PARTS = [targets(True, False, True), targets(), targets(False, True)]


def test_targets_of_pieces_stand_one_after_another() -> None:
    joined = join(PARTS)
    assert joined.starts.tolist() == [0, 3, 3, 5]
    assert joined.targets_NK.shape == (5, 2)
    assert [rows.tolist() for rows in joined.chosen] == [[0, 2], [], [4]]
    assert joined.piece_of(np.array([0, 2, 3, 4])).tolist() == [0, 0, 2, 2]


def test_a_worker_needs_the_pieces_of_its_rows_alone() -> None:
    joined = join(PARTS)
    window = Window(
        pieces=[Piece(shard, 0, slice(0, 3)) for shard in range(3)],
        targets=joined,
        assignment=assign_batches(joined.chosen, 8, None),
        changes=[],
    )
    assert window.pieces_of(0, 1) == [0, 2]
    assert window.pieces_of(0, 2) == [0]
    assert window.pieces_of(1, 2) == [0, 2]
    # A worker without any image looks at the first one.
    assert window.pieces_of(0, 5) == [0]
