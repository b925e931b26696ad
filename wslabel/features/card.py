"""What a network feature needs to know about its model, found out once and kept as a constant."""

from dataclasses import asdict, dataclass

from wslabel.settings import Preprocess


@dataclass(frozen=True)
class Card:
    """Preprocessing, category names in the order of the outputs, and the embedding's length."""

    preprocess: Preprocess
    categories: tuple[str, ...] = ()
    embedding_dim: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Spell the card as plain values."""
        return asdict(self) | {"preprocess": self.preprocess.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> "Card":
        """Read a card from plain values."""
        categories = values["categories"]
        dim = values["embedding_dim"]
        assert isinstance(categories, list)
        assert dim is None or isinstance(dim, int)
        return cls(Preprocess.model_validate(values["preprocess"]), tuple(categories), dim)
