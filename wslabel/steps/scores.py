"""The scores of one vector over the stored embeddings: what a threshold by quantile is read off."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wslabel.columns import to_array
from wslabel.config import fingerprint
from wslabel.errors import ConfigError
from wslabel.labeling.similarity import cosines
from wslabel.steps.constants import Constants
from wslabel.steps.extractors import Extractor
from wslabel.storage.location import Location
from wslabel.storage.table import Generations, Table, shard_name

MOST_SHARDS = 2000
"""A million images at the usual size of shards; of more, evenly spread ones stand for all."""


@dataclass(frozen=True)
class Scores:
    """Where embeddings are, and whether thresholds that were frozen are to be found anew."""

    location: Location
    generations: Mapping[str, Generations]
    constants: Constants
    refresh: bool = False

    def quantile(self, extractor: Extractor, vector_D: np.ndarray, share: float) -> float:
        """Give the cosine that a share of the images stays below, once and for all.

        Raises:
            ConfigError: no image has an embedding.
        """
        identity = fingerprint(extractor.folder, vector_D.tolist(), share)

        def find() -> dict[str, float]:
            scores = self._cosines(extractor, vector_D)
            if not len(scores):
                raise ConfigError(f"features.{extractor.name}: no image has an embedding")
            return {"cosine": float(np.quantile(scores, share)), "num_images": len(scores)}

        name = f"quantile-{identity}"
        if self.refresh:
            self.constants.forget(name)
        return float(self.constants.get_or_make(name, find)["cosine"])

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
