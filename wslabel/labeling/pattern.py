"""Pattern votes: words or a regular expression in a text column of the images.

The expressions run on RE2 (through Arrow), whose time is linear in the text whatever they say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wslabel.labeling.batch import Batch, Votes
from wslabel.schema import ABSTAIN

PUNCTUATION = re.compile(r"([!-/:-@\[-^`{-~])")
BORDER = r"[^\pL\pN_]"


@dataclass(frozen=True)
class PatternVoter:
    """Votes `vote` where the text of a column matches; an image without text abstains."""

    name: str
    column: str
    pattern: str
    vote: int

    @property
    def reads(self) -> tuple[str, ...]:
        """The text column."""
        return (self.column,)

    def __call__(self, batch: Batch) -> Votes:
        """Vote by texts."""
        texts = pa.array(batch[self.column], pa.string())
        found = pc.match_substring_regex(texts, self.pattern).to_numpy(zero_copy_only=False)
        return np.where(found == True, np.int8(self.vote), np.int8(ABSTAIN))  # noqa: E712 - or None


def of_keywords(keywords: Sequence[str]) -> str:
    """Write the expression that finds any of some words or phrases, whole and in any case.

    >>> of_keywords(["sea", "high tide"]).count("sea")
    1
    """
    words = "|".join(r"\s+".join(PUNCTUATION.sub(r"\\\1", w) for w in k.split()) for k in keywords)
    return rf"(?i)(?:^|{BORDER})(?:{words})(?:{BORDER}|$)"
