"""Labeling functions, by kind."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from wslabel.schema import RESERVED
from wslabel.settings.base import NAME, Fraction, Settings, refuse


class LabelingFunction(Settings):
    """What all labeling functions have in common."""

    name: str
    feature_kind: ClassVar[str | None] = None

    @field_validator("name")
    @classmethod
    def _is_column(cls, value: str) -> str:
        if not NAME.fullmatch(value) or value in RESERVED:
            raise refuse(f"'{value}' cannot name a column; use letters, digits and _")
        return value


class ColorVote(LabelingFunction):
    """Votes by the channel that is highest on average, or highest in most pixels."""

    feature_kind = "color"
    kind: Literal["color"]
    feature: str = "color"
    statistic: Literal["mean", "pixel"]
    votes: dict[Literal["red", "green", "blue"], str]


class CategoryVote(LabelingFunction):
    """Votes for the class whose word lies nearest to the classifier's top category."""

    feature_kind = "classifier"
    kind: Literal["category"]
    feature: str
    word_vectors: str
    words: dict[str, list[str]]
    min_probability: Fraction = 0.0
    min_margin: float = Field(0.0, ge=0.0)


class SimilarityVote(LabelingFunction):
    """Votes by the cosine between an image and prompts.

    Either `text`, `class` and `present_above`: votes for the class above that cosine. Or `prompts`
    of several classes: the class of the nearest prompt wins if it leads by more than `margin`.
    """

    feature_kind = "clip"
    kind: Literal["similarity"]
    feature: str
    text: str | None = None
    class_: str | None = Field(None, alias="class")
    present_above: float | None = Field(None, ge=-1.0, le=1.0)
    prompts: dict[str, str | list[str]] | None = None
    margin: float | None = Field(None, ge=0.0, le=2.0)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        single = (self.text, self.class_, self.present_above)
        if self.prompts is None:
            if None in single or self.margin is not None:
                raise refuse("give either text, class and present_above, or prompts and margin")
        elif single != (None, None, None) or len(self.prompts) < 2:
            raise refuse(
                "prompts of at least two classes compete; text, class, present_above do not"
            )
        return self

    def classes(self) -> dict[str, list[str]]:
        """Prompts by class, whichever form was written."""
        if self.prompts is None:
            return {str(self.class_): [str(self.text)]}
        return {name: [p] if isinstance(p, str) else list(p) for name, p in self.prompts.items()}


class PythonVote(LabelingFunction):
    """Votes by a function of yours over a batch of columns, or by a Snorkel LabelingFunction."""

    kind: Literal["python"]
    function: str
    features: list[str] = []
    metadata: list[str] = []

    @field_validator("metadata")
    @classmethod
    def _no_truth(cls, value: list[str]) -> list[str]:
        for name in value:
            if name in RESERVED:
                raise refuse(f"a labeling function must not see '{name}'; name metadata columns")
        return value

    @field_validator("function")
    @classmethod
    def _is_import_path(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.]+:\w+", value):
            raise refuse(f"expected 'module:function', found '{value}'")
        return value


Vote = Annotated[
    ColorVote | CategoryVote | SimilarityVote | PythonVote, Field(discriminator="kind")
]
