"""Registries: the kinds of something, by the name that a project file gives them."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from wslabel.config.base import Settings
from wslabel.errors import ConfigError

Kind = TypeVar("Kind", bound=Settings)


class Registry(Generic[Kind]):
    """The settings classes of all kinds of something; as an annotation, a union of them.

    A field `images: Annotated[SourceConfig, SOURCES]` takes the settings of any source that is
    registered when the schema of its model is built.

    >>> from typing import Literal
    >>> class Red(Settings):
    ...     kind: Literal["red"]
    >>> list(Registry("kind", Red))
    ['red']
    """

    def __init__(self, key: str, *kinds: type[Kind]) -> None:
        """Register kinds.

        Args:
            key: the field, a Literal in each kind, that names the kind.
            kinds: settings classes.
        """
        self.key = key
        self._kinds = {self._name(kind): kind for kind in kinds}

    def _name(self, kind: type[Kind]) -> str:
        names = get_args(kind.model_fields[self.key].annotation)
        if not names:
            where = f"{kind.__name__}.{self.key}"
            raise ConfigError(f"{where}: expected a Literal that names the kind")
        return str(names[0])

    def add(self, kind: type[Kind]) -> None:
        """Register one more kind; models built before know it once they are rebuilt.

        Raises:
            ConfigError: The kind has no name, or that of another one.
        """
        name = self._name(kind)
        known = self._kinds.get(name, kind)
        # A class that is defined again, as in a cell of a notebook that runs twice, is the same.
        if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
            raise ConfigError(f"there is a {self.key} '{name}' already: {known.__name__}")
        self._kinds[name] = kind

    def __iter__(self) -> Iterator[str]:
        """Go through the names of all kinds."""
        return iter(self._kinds)

    def __getitem__(self, name: str) -> type[Kind]:
        """Look a kind up by its name."""
        return self._kinds[name]

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the schema of a field: one of the kinds, told apart by the key."""
        choices = {name: handler.generate_schema(kind) for name, kind in self._kinds.items()}
        return core_schema.tagged_union_schema(choices=choices, discriminator=self.key)
