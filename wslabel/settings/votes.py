"""Labeling functions, by kind."""

import re
from typing import Annotated, ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

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

    def classes(self) -> list[str]:
        """Classes that it votes for."""
        return list(self.votes.values())


class CategoryVote(LabelingFunction):
    """Votes by the classifier's top category.

    Either `words` and `word_vectors`: for the class whose word lies nearest to the category's name.
    Or `categories`: for the class that names the category.
    """

    feature_kind = "classifier"
    kind: Literal["category"]
    feature: str
    word_vectors: str | None = None
    words: dict[str, list[str]] | None = None
    categories: dict[str, list[str]] | None = None
    min_probability: Fraction = 0.0
    min_margin: float = Field(0.0, ge=0.0)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.words is None) == (self.categories is None):
            raise refuse("give either words and word_vectors, or categories")
        if (self.words is None) != (self.word_vectors is None):
            raise refuse("words and word_vectors go together")
        if self.words is None and self.min_margin:
            raise refuse("min_margin: categories have no margin, only words do")
        owns = [own for some in (self.categories or {}).values() for own in some]
        for own in owns:
            if owns.count(own) > 1:
                raise refuse(f"categories: '{own}' is named twice")
        return self

    def classes(self) -> list[str]:
        """Classes that it votes for."""
        return list(self.words or self.categories or ())


class Quantile(Settings):
    """A threshold by rank: the score that a share of all images stays below, frozen once found."""

    quantile: Fraction


def _threshold_kind(value: object) -> str:
    return "quantile" if isinstance(value, dict | Quantile) else "cosine"


Threshold = Annotated[
    Annotated[float, Field(ge=-1.0, le=1.0), Tag("cosine")] | Annotated[Quantile, Tag("quantile")],
    Discriminator(_threshold_kind),
]


class SimilarityVote(LabelingFunction):
    """Votes by the cosine between an image and a prompt, an example image, or a crop of one.

    Either `text` or `image` (with `crop`: left, top, right, bottom as fractions) of one `class`:
    votes for it above `present_above` and, in a project of two classes, for the other one below
    `absent_below`; `invert` exchanges the two. Or `prompts` of several classes: the class of the
    nearest prompt wins if it leads by more than `margin`.
    """

    feature_kind = "clip"
    kind: Literal["similarity"]
    feature: str
    text: str | None = None
    image: str | None = None
    crop: tuple[Fraction, Fraction, Fraction, Fraction] | None = None
    class_: str | None = Field(None, alias="class")
    present_above: Threshold | None = None
    absent_below: Threshold | None = None
    invert: bool = False
    prompts: dict[str, str | list[str]] | None = None
    margin: float | None = Field(None, ge=0.0, le=2.0)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        anchors = [self.text, self.image]
        thresholds = [t for t in (self.present_above, self.absent_below) if t is not None]
        if self.prompts is None:
            if anchors.count(None) != 1 or self.class_ is None or self.margin is not None:
                raise refuse("give either text or image, and class; or prompts and margin")
            if not thresholds:
                raise refuse("give present_above, absent_below or both")
        elif anchors != [None, None] or self.class_ or thresholds or len(self.prompts) < 2:
            raise refuse("prompts of at least two classes compete; they take a margin only")
        self._check_thresholds()
        self._check_crop()
        return self

    def _check_thresholds(self) -> None:
        above, below = self.present_above, self.absent_below
        if isinstance(above, Quantile) and isinstance(below, Quantile):
            above, below = above.quantile, below.quantile
        if isinstance(above, float) and isinstance(below, float) and below > above:
            raise refuse(f"absent_below {below:g} is more than present_above {above:g}")

    def _check_crop(self) -> None:
        if self.crop is None:
            return
        if self.image is None:
            raise refuse("crop: there is no image to crop")
        left, top, right, bottom = self.crop
        if left >= right or top >= bottom:
            raise refuse(f"crop: expected left < right and top < bottom, found {list(self.crop)}")

    @property
    def says_absent(self) -> bool:
        """Tell whether it may vote that its class is absent."""
        return self.absent_below is not None or (self.invert and self.present_above is not None)

    def classes(self) -> list[str]:
        """Classes that its prompts are of."""
        return list(self.prompts) if self.prompts is not None else [str(self.class_)]


class PatternVote(LabelingFunction):
    """Votes for a class where a text column of the images matches.

    Either `keywords`, found as whole words whatever their case, or `regex` in RE2's syntax, which
    takes time linear in the text whatever the expression.
    """

    kind: Literal["pattern"]
    column: str
    class_: str = Field(alias="class")
    keywords: list[str] | None = Field(None, min_length=1)
    regex: str | None = None
    invert: bool = False

    @field_validator("column")
    @classmethod
    def _no_truth(cls, value: str) -> str:
        return _metadata(value)

    @field_validator("keywords")
    @classmethod
    def _no_empty(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and not all(word.strip() for word in value):
            raise refuse(f"a keyword is empty, found {value}")
        return value

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            pc.match_substring_regex(pa.array([""]), value or "")
        except pa.ArrowInvalid as error:
            reason = str(error).removeprefix("Invalid regular expression: ")
            raise refuse(f"'{value}' is no regular expression of RE2: {reason}") from None
        return value

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.keywords is None) == (self.regex is None):
            raise refuse("give either keywords or regex")
        return self

    @property
    def says_absent(self) -> bool:
        """Tell whether it votes that its class is absent."""
        return self.invert

    def classes(self) -> list[str]:
        """The class that it is about."""
        return [self.class_]


def _metadata(name: str) -> str:
    if name in RESERVED:
        raise refuse(f"a labeling function must not see '{name}'; name metadata columns")
    return name


class PythonVote(LabelingFunction):
    """Votes by a function of yours over a batch of columns, or by a Snorkel LabelingFunction."""

    kind: Literal["python"]
    function: str
    features: list[str] = []
    metadata: list[str] = []

    @field_validator("metadata")
    @classmethod
    def _no_truth(cls, value: list[str]) -> list[str]:
        return [_metadata(name) for name in value]

    @field_validator("function")
    @classmethod
    def _is_import_path(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.]+:\w+", value):
            raise refuse(f"expected 'module:function', found '{value}'")
        return value


Vote = Annotated[
    ColorVote | CategoryVote | SimilarityVote | PatternVote | PythonVote,
    Field(discriminator="kind"),
]
