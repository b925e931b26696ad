"""What a network reads of an image: a stored embedding, or the pixels of its thumbnail."""

from dataclasses import dataclass

import numpy as np

from wslabel.columns import to_array
from wslabel.config.optimization import Optimization
from wslabel.config.preprocess import Preprocess
from wslabel.errors import StorageError, WeightsError
from wslabel.features.decode import Decoded, Undecodable, decode
from wslabel.features.resize import prepare
from wslabel.features.thumbnail import ThumbnailConfig
from wslabel.storage.location import Location
from wslabel.storage.table import PIECES, Table, error_count, shard_name
from wslabel.workspace.workspace import Workspace

LARGEST = ThumbnailConfig(kind="thumbnail", size=4096).max_pixels
"""Most pixels of any thumbnail."""


@dataclass(frozen=True)
class Inputs:
    """What a network reads of one image: a stored embedding, or the pixels of its thumbnail.

    Attributes:
        location: Root of the workspace.
        folder: Folder of the feature that is read.
        preprocess: How pixels become the network's input; None reads embeddings.
        max_pixels: Most pixels that a thumbnail may have.
    """

    location: Location
    folder: str
    preprocess: Preprocess | None = None
    max_pixels: int = LARGEST

    @property
    def identity(self) -> tuple[object, ...]:
        """What inputs are the same by, in whichever process they were made."""
        return self.location.root, self.folder, self.preprocess

    @property
    def pieces(self) -> int:
        """Number of pieces of a shard; thumbnails are too large to hold many whole shards."""
        return PIECES if self.preprocess else 1

    @property
    def _column(self) -> str:
        return "jpeg" if self.preprocess else "embedding"

    def known(self, shard: int, generation: int) -> np.ndarray:
        """Tell which images of a shard have an input."""
        table, name = Table(self.location, self.folder), shard_name(shard, generation)
        footer = table.footer(name)
        if not error_count(footer):
            return np.ones(footer.num_rows, bool)
        errors = table.read_rows(name, ["error"], slice(0, footer.num_rows))
        return np.asarray(errors.column("error").is_null())

    def load(self, shard: int, generation: int, rows: slice) -> np.ndarray:
        """Load what is stored of some rows of a shard: embeddings, or the bytes of thumbnails."""
        name = shard_name(shard, generation)
        table = Table(self.location, self.folder).read_rows(name, [self._column], rows)
        return to_array(table.column(self._column))

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Turn what is stored of some images into what a network takes.

        Raises:
            StorageError: A thumbnail is not as wslabel writes it.
        """
        if self.preprocess is None:
            return np.asarray(stored)
        crop = self.preprocess.crop
        pixels_NHW3 = np.empty((len(stored), crop, crop, 3), np.uint8)
        for index, jpeg in enumerate(stored):
            pixels_NHW3[index] = prepare(self._thumbnail(jpeg), self.preprocess)
        return pixels_NHW3

    def _thumbnail(self, jpeg: bytes) -> Decoded:
        # Others may write in a workspace, and here is no sandbox: nothing but JPEG is looked at.
        try:
            return decode(jpeg, self.max_pixels, ("JPEG",))
        except Undecodable as error:
            where = self.location.uri(self.folder)
            raise StorageError(
                f"{where}: a thumbnail is not as wslabel writes it, so others did ({error})"
            ) from None

    def read(self, shard: int, generation: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the inputs of those images of a shard that have one, and which these are."""
        known_N = self.known(shard, generation)
        stored = self.load(shard, generation, slice(0, len(known_N)))
        return self.decode(stored[known_N]), known_N


def inputs_of(workspace: Workspace, settings: Optimization) -> Inputs:
    """Say what a network reads of an image."""
    extractor = workspace.extractors[settings.feature]
    if settings.network == "linear":
        return Inputs(workspace.location, extractor.folder)
    assert isinstance(extractor.settings, ThumbnailConfig)
    most = extractor.settings.max_pixels
    return Inputs(workspace.location, extractor.folder, settings.preprocess, most)


def embedding_dim(workspace: Workspace, settings: Optimization) -> int | None:
    """Give the width of the embeddings that a network reads; None where it reads images.

    Raises:
        WeightsError: Its feature has no embedding.
    """
    if settings.network != "linear":
        return None
    info = workspace.extractors[settings.feature].info
    assert info is not None
    if info.embedding_dim is None:
        raise WeightsError(f"feature {settings.feature} stores no embedding")
    return info.embedding_dim
