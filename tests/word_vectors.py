"""Write word vectors in fastText's binary format (version 12), without subwords.

fastText's own training cannot make them reliably from a few lines: it ends with "Encountered NaN"
where it is done before its first look at the loss.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

MAGIC, VERSION = 793712314, 12
SKIPGRAM, NEGATIVE_SAMPLING = 2, 2

SEA = ("sea", "ocean", "coast", "seashore", "boat", "fishing", "water", "blue")
FOREST = ("forest", "tree", "oak", "rain", "green", "jungle", "wood")


def write(path: Path, vectors: Mapping[str, np.ndarray]) -> Path:
    """Save vectors by word."""
    matrix = np.stack(list(vectors.values())).astype("<f4")
    dim = matrix.shape[1]
    # dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate, t
    numbers = (dim, 5, 5, 1, 5, 1, NEGATIVE_SAMPLING, SKIPGRAM, 0, 0, 0, 100, 1e-4)
    parts = [struct.pack("<ii", MAGIC, VERSION), struct.pack("<12id", *numbers)]
    count = len(vectors)
    parts.append(struct.pack("<iiiqq", count, count, 0, count, -1))
    parts += [word.encode() + b"\0" + struct.pack("<qb", 1, 0) for word in vectors]
    for values in (matrix, np.zeros_like(matrix)):
        parts.append(struct.pack("<?qq", False, *values.shape) + values.tobytes())
    path.write_bytes(b"".join(parts))
    return path


def two_topics(path: Path) -> Path:
    """Save words of the sea near one axis and words of the forest near another."""
    rng = np.random.default_rng(0)
    axes = np.eye(8)
    vectors = {
        word: axis + rng.normal(0, 0.1, 8)
        for words, axis in ((SEA, axes[0]), (FOREST, axes[1]))
        for word in words
    }
    return write(path, vectors)
