"""What all sections have in common: frozen, and strict about keys."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from wslabel.errors import nearest
from wslabel.uri import hushed

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


def refuse(message: str) -> PydanticCustomError:
    """Make the error of a check of ours, worded as one sentence."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def shortened(value: object) -> str:
    """Spell a value for a message, in at most 60 characters and without passwords in its uris."""
    text = hushed(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


class Settings(BaseModel):
    """A section of the project file."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, strict=False)

    version: ClassVar[int] = 1
    """To be raised when the same settings, or their defaults, come to mean something else: it is
    part of what names the tables that they make."""

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        for key in data:
            if key not in known and key not in cls.model_fields:
                raise refuse(f"unknown key '{key}'; {nearest(key, known)}")
        return data


class S3(Settings):
    """How to reach S3; credentials come from the environment, never from here.

    Attributes:
        endpoint: Address of the server; null takes AWS's own, or the environment's.
        region: AWS region; null takes the environment's.
        anonymous: Whether requests are sent without credentials, as public buckets allow.
    """

    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False

    @field_validator("endpoint")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and "@" in value:
            raise refuse("an endpoint must not carry credentials; set them in the environment")
        return value
