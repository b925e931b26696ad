"""Cosines that a share of the images stays below: what a threshold by quantile becomes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wslabel.columns import to_array
from wslabel.config.fingerprint import fingerprint
from wslabel.errors import ConfigError
from wslabel.labeling.similarity import cosines
from wslabel.storage.location import Location
from wslabel.storage.table import Generations, Table, shard_name
from wslabel.workspace.constants import Constants
from wslabel.workspace.extractors import Extractor

MOST_SHARDS = 2000
"""A million images at the usual size of shards; of more, evenly spread ones stand for all."""


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Where embeddings are, and whether thresholds that were frozen are to be found anew.

    Attributes:
        location: Root of the workspace.
        generations: Newest generation of each shard in each feature.
        constants: Where thresholds are kept.
        refresh: Whether thresholds are found anew, over the images there are now.
    """

    location: Location
    generations: Mapping[str, Generations]
    constants: Constants
    refresh: bool = False

    def cosine(self, extractor: Extractor, vector_D: np.ndarray, share: float) -> float:
        """Give the cosine that a share of the images stays below, once and for all.

        Raises:
            ConfigError: No image has an embedding.
        """
        identity = fingerprint(extractor.folder, vector_D.tolist(), share)

        def measure() -> dict[str, float]:
            scores = self._cosines(extractor, vector_D)
            if not len(scores):
                raise ConfigError(f"features.{extractor.name}: no image has an embedding")
            return {"cosine": float(np.quantile(scores, share)), "num_images": len(scores)}

        name = f"quantile-{identity}"
        if self.refresh:
            self.constants.forget(name)
        cosine: float = self.constants.get_or_make(
            name, measure, lambda kept: float(kept["cosine"])
        )
        return cosine

    def _cosines(self, extractor: Extractor, vector_D: np.ndarray) -> np.ndarray:
        table = Table(self.location, extractor.folder)
        known = self.generations[extractor.name]
        shards = sorted(known)
        step = max(1, -(-len(shards) // MOST_SHARDS))
        names = [shard_name(shard, known[shard]) for shard in shards[::step]]

        def read(name: str) -> np.ndarray:
            embeddings_ND = to_array(table.read(name, ["embedding"]).column("embedding"))
            scores = cosines(vector_D[None], embeddings_ND)[0]
            return np.asarray(scores[~np.isnan(scores)])

        parts = self.location.read_many(names, read)
        return np.concatenate([np.zeros(0, np.float32), *parts])
