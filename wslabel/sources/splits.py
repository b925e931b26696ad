"""Draw shards and splits from a listing, by seed, so that a later draw continues an earlier one.

Images are ordered by a hash of seed and id. Going through that order, the next image of a class
joins the split that is furthest behind its fraction; so every prefix of the order is stratified to
within one image per class, and ingesting that was killed or is given more images goes on as if it
had never stopped.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from wslabel.schema import SPLITS

DrawnCounts = Mapping[tuple[str | None, str], int]
"""How many images of a class (or of none) a split has."""

_Running = Counter[tuple[str | None, str]]


def order(image_ids: list[str], seed: int) -> np.ndarray:
    """Give the order of images by the hash of seed and id.

    >>> order(["a", "b", "c"], 1).tolist() == order(["a", "b", "c"], 1).tolist()
    True
    """
    prefix = f"{seed}:".encode()
    hashes = np.array(
        [hashlib.blake2b(prefix + i.encode(), digest_size=8).digest() for i in image_ids], "S8"
    )
    # numpy's fixed-length bytes drop trailing zeros; big-endian integers keep the order.
    return np.argsort(hashes.view(">u8").astype(np.uint64), kind="stable")


def draw(
    listing: pa.Table, fractions: Mapping[str, float], seed: int, counts: DrawnCounts
) -> pa.Table:
    """Order new images and give each a split.

    Args:
        listing: the images that are not in the manifest yet.
        fractions: the share of the images that each split gets.
        seed: the number that decides the order.
        counts: the images that the manifest holds already.
    """
    ordered = listing.take(order(listing.column("image_id").to_pylist(), seed))
    splits = list(_splits(ordered, fractions, counts))
    index = ordered.schema.get_field_index("split")
    return ordered.set_column(index, "split", pa.array(splits, pa.string()))


def _splits(
    ordered: pa.Table, fractions: Mapping[str, float], counts: DrawnCounts
) -> Iterator[str]:
    running: _Running = Counter(dict(counts))
    given = ordered.column("split").to_pylist()
    for truth, split in zip(ordered.column("truth").to_pylist(), given, strict=True):
        chosen = split or _most_behind(truth, fractions, running)
        running[truth, chosen] += 1
        yield chosen


def _most_behind(truth: str | None, fractions: Mapping[str, float], running: _Running) -> str:
    total = 1 + sum(running[truth, split] for split in SPLITS)
    return max(SPLITS, key=lambda split: fractions[split] * total - running[truth, split])


def count(images: pa.Table) -> Counter[tuple[str | None, str]]:
    """Count the images of a part of the manifest by class and split."""
    groups = images.select(["truth", "split"]).group_by(["truth", "split"])
    rows = groups.aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["truth"], row["split"]): row["count_all"] for row in rows})
