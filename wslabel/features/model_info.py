"""What a network feature needs to know about its model, found out once and kept as a constant."""

from dataclasses import asdict, dataclass

from wslabel.config.preprocess import Preprocess


@dataclass(frozen=True)
class ModelInfo:
    """What a network feature's model takes and gives.

    Attributes:
        preprocess: How an image becomes the network's input.
        categories: Names of the outputs, in their order.
        embedding_dim: Length of the embedding; None where none is stored.
    """

    preprocess: Preprocess
    categories: tuple[str, ...] = ()
    embedding_dim: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Spell it as plain values."""
        return asdict(self) | {"preprocess": self.preprocess.model_dump(mode="json")}
