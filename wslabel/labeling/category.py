"""Category votes: a classifier's top category, looked up in a table that is made once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from wslabel.config.base import Fraction, refuse
from wslabel.config.fingerprint import fingerprint, named
from wslabel.config.paths import ExistingPath
from wslabel.errors import ConfigError, StorageError, nearest
from wslabel.labeling.labeling_function import (
    Batch,
    LabelingFunction,
    LFConfig,
    LFContext,
    MadeFunction,
    Outline,
    Votes,
    class_id,
)
from wslabel.labeling.words import match
from wslabel.schema import ABSTAIN


class CategoryLFConfig(LFConfig):
    """Votes by the classifier's top category.

    Either `words` and `word_vectors`: for the class whose word lies nearest to the category's name.
    Or `categories`: for the class that names the category.

    Attributes:
        name: Name of the function and of its column in the votes table.
        kind: category.
        feature: The classifier feature that it reads.
        word_vectors: Path or s3:// uri of word vectors in fastText's binary format.
        words: Words of each class; a category votes for the class of its nearest word.
        categories: Category names of each class, as the classifier has them.
        min_probability: Least probability of the top category; below it the function abstains.
        min_margin: Least lead of the nearest class over the next one, in squared distance; below it
            a category abstains.
    """

    kind: Literal["category"]
    feature: str
    word_vectors: ExistingPath | None = None
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
        named = [name for names in (self.categories or {}).values() for name in names]
        for name in named:
            if named.count(name) > 1:
                raise refuse(f"categories: '{name}' is named twice")
        return self

    def check(self, where: str, outline: Outline) -> None:
        """Refuse unknown classes and a feature without categories."""
        for name in self.words or self.categories or ():
            outline.check_class(where, name)
        outline.check_feature(f"{where}.feature", self.feature, "classifier")
        if not outline.features[self.feature].stores_categories:
            raise refuse(f"{where}.feature: '{self.feature}' stores no categories (top_k: 0)")

    def make(self, context: LFContext) -> MadeFunction:
        """Give each category the class that it votes for."""
        categories = context.facts(self.feature).categories
        table = self._nearest if self.categories is None else self._listed
        votes_C, identity = table(context, categories)
        function = CategoryLF(
            name=self.name,
            feature=self.feature,
            votes_C=votes_C,
            min_probability=self.min_probability,
        )
        return MadeFunction(function, [named(self, {"word_vectors"}), identity])

    def _listed(self, context: LFContext, categories: Sequence[str]) -> tuple[np.ndarray, object]:
        """Give the categories that the settings list the classes they are listed for."""
        assert self.categories is not None
        votes_C = np.full(len(categories), ABSTAIN, np.int8)
        for class_name, names in self.categories.items():
            for name in names:
                rows = [row for row, category in enumerate(categories) if category == name]
                if not rows:
                    raise ConfigError(
                        f"labeling_functions ({self.name}).categories: '{self.feature}' has no "
                        f"category '{name}'; {nearest(name, categories)}"
                    )
                votes_C[rows] = class_id(context, class_name)
        return votes_C, fingerprint(categories)

    def _nearest(self, context: LFContext, categories: Sequence[str]) -> tuple[np.ndarray, object]:
        """Give each category the class of its nearest word, computed once."""
        assert self.words is not None
        assert self.word_vectors is not None
        vectors, content = context.local_file(self.word_vectors)
        words = {class_id(context, name): words for name, words in self.words.items()}
        identity = fingerprint(content, categories, sorted(words.items()))

        def make() -> dict[str, list[float]]:
            table = match(categories, words, vectors)
            return {"votes": table.votes_C.tolist(), "margins": table.margins_C.tolist()}

        table = context.constant(f"category-{identity}", make, dict[str, list[float]])
        votes_C, margins_C = (np.array(table.get(key, ())) for key in ("votes", "margins"))
        of_classes = np.isin(votes_C, [ABSTAIN, *words])
        if not len(votes_C) == len(margins_C) == len(categories) or not of_classes.all():
            raise StorageError(
                f"constants/category-{identity}.json: expected a class and a margin for each of "
                f"{len(categories)} categories; remove it, then it is made anew"
            )
        return np.where(margins_C >= self.min_margin, votes_C, ABSTAIN).astype(np.int8), identity


@dataclass(frozen=True, eq=False, kw_only=True)
class CategoryLF(LabelingFunction):
    """Votes by the top category.

    Attributes:
        name: Name of the function.
        feature: The classifier feature that it reads.
        votes_C: Class id, or ABSTAIN, of each category.
        min_probability: Least probability of the top category.
    """

    name: str
    feature: str
    votes_C: np.ndarray
    min_probability: float

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the classifier feature."""
        return (f"{self.feature}.category_ids", f"{self.feature}.category_probabilities")

    def __call__(self, batch: Batch) -> Votes:
        """Vote; an image without categories or with an unsure one abstains."""
        ids_N, probabilities_N = (batch[column][:, 0] for column in self.reads)
        # A missing probability is NaN and fails the comparison too.
        sure_N = (ids_N >= 0) & (probabilities_N >= self.min_probability)
        return np.where(sure_N, self.votes_C[ids_N], np.int8(ABSTAIN))
