"""Code that says when it ran, as strangers plant it in data."""

import pickle
from pathlib import Path


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.witness,)


def pickled(witness: Path) -> bytes:
    """Pickle what writes a file when it is read."""
    return pickle.dumps(Planted(witness))
