"""Pattern votes: words or a regular expression in a text column of the images.

The expressions run on RE2 (through Arrow), whose time is linear in the text whatever they say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from wslabel.config.base import refuse
from wslabel.labeling.labeling_function import (
    Batch,
    LabelingFunction,
    LFConfig,
    LFContext,
    MadeFunction,
    Outline,
    Votes,
    metadata_column,
    present_and_absent,
)
from wslabel.schema import ABSTAIN

PUNCTUATION = re.compile(r"([!-/:-@\[-^`{-~])")
BORDER = r"[^\pL\pN_]"


class PatternLFConfig(LFConfig):
    """Votes for a class where a text column of the images matches.

    Either `keywords` or `regex`.

    Attributes:
        name: Name of the function and of its column in the votes table.
        kind: pattern.
        column: A metadata column of the images that holds text.
        class: The class that a match speaks for.
        keywords: Words or phrases, found as a whole and in any case.
        regex: A regular expression in RE2's syntax, which takes time linear in the text.
        invert: Whether a match says that the class is absent, in a project of two classes.
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
        return metadata_column(value)

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

    def check(self, where: str, outline: Outline) -> None:
        """Refuse what the project does not have, and an absence that says nothing."""
        outline.check_class(where, self.class_)
        outline.check_metadata(f"{where}.column", self.column)
        if self.invert:
            outline.check_absent(f"{where}.invert", self.class_)

    def make(self, context: LFContext) -> MadeFunction:
        """Write the expression."""
        pattern = self.regex or keyword_pattern(self.keywords or ())
        vote, _ = present_and_absent(context, self.class_, invert=self.invert)
        function = PatternLF(name=self.name, column=self.column, pattern=pattern, vote=vote)
        return MadeFunction(function, [self.column, pattern, vote])


@dataclass(frozen=True, kw_only=True)
class PatternLF(LabelingFunction):
    """Votes where the text of a column matches; an image without text abstains.

    Attributes:
        name: Name of the function.
        column: The text column.
        pattern: Regular expression in RE2's syntax.
        vote: Class id that a match votes for.
    """

    name: str
    column: str
    pattern: str
    vote: int

    text_columns: ClassVar[bool] = True

    @property
    def reads(self) -> tuple[str, ...]:
        """The text column."""
        return (self.column,)

    def __call__(self, batch: Batch) -> Votes:
        """Vote by texts."""
        texts = pa.array(batch[self.column], pa.string())
        matches = pc.match_substring_regex(texts, self.pattern).to_numpy(zero_copy_only=False)
        return np.where(matches == True, np.int8(self.vote), np.int8(ABSTAIN))  # noqa: E712 - or None


def keyword_pattern(keywords: Sequence[str]) -> str:
    """Write the expression that finds any of some words or phrases, whole and in any case.

    >>> keyword_pattern(["sea", "high tide"]).count("sea")
    1
    """
    words = "|".join(r"\s+".join(PUNCTUATION.sub(r"\\\1", w) for w in k.split()) for k in keywords)
    return rf"(?i)(?:^|{BORDER})(?:{words})(?:{BORDER}|$)"
