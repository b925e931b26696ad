"""From the `labeling_functions:` of a config to voters with their constants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from wslabel.config import fingerprint
from wslabel.engine.tasks import ship
from wslabel.errors import ConfigError, nearest
from wslabel.features.decode import Undecodable, crop, decode
from wslabel.labeling import python
from wslabel.labeling.batch import Voter
from wslabel.labeling.category import CategoryVoter
from wslabel.labeling.color import CHANNELS, ColorVoter
from wslabel.labeling.jury import Jury
from wslabel.labeling.pattern import PatternVoter, of_keywords
from wslabel.labeling.similarity import PromptsVoter, ThresholdVoter
from wslabel.schema import ABSTAIN
from wslabel.settings import (
    CategoryVote,
    ColorVote,
    PatternVote,
    Project,
    PythonVote,
    Quantile,
    SimilarityVote,
    Threshold,
)
from wslabel.steps import doors
from wslabel.steps.constants import Constants
from wslabel.steps.extractors import Extractor, locate, make_model, with_precision
from wslabel.steps.scores import Scores
from wslabel.storage import files


@dataclass(frozen=True)
class Court:
    """The jury and what names its votes."""

    jury: Jury
    identity: str


def court(
    project: Project, extractors: Mapping[str, Extractor], constants: Constants, scores: Scores
) -> Court:
    """Make all labeling functions; what does not depend on the image is computed here, once.

    Raises:
        ConfigError: a labeling function names a category or an image that is none.
    """
    maker = _Maker(project, extractors, constants, scores)
    made = [maker.make(settings) for settings in project.labeling_functions]
    voters = [voter for voter, _ in made]
    identities = [identity for _, identity in made]
    return Court(Jury(voters, len(project.classes)), fingerprint(project.classes, identities))


@dataclass(frozen=True)
class _Maker:
    project: Project
    extractors: Mapping[str, Extractor]
    constants: Constants
    scores: Scores

    def make(self, settings: Any) -> tuple[Voter, object]:
        """Make one voter, and the values that identify its votes beside its features' tables."""
        makers: dict[str, Callable[[Any], tuple[Voter, object]]] = {
            "color": self._color,
            "category": self._category,
            "similarity": self._similarity,
            "pattern": self._pattern,
            "python": self._python,
        }
        return makers[settings.kind](settings)

    def _class_id(self, name: str) -> int:
        return self.project.classes.index(name)

    def _color(self, settings: ColorVote) -> tuple[Voter, object]:
        ids = [
            self._class_id(settings.votes[c]) if c in settings.votes else ABSTAIN for c in CHANNELS
        ]
        voter = ColorVoter(settings.name, settings.feature, settings.statistic, tuple(ids))  # type: ignore[arg-type]
        return voter, settings

    def _category(self, settings: CategoryVote) -> tuple[Voter, object]:
        card = self.extractors[settings.feature].card
        assert card is not None
        make = self._nearest if settings.categories is None else self._listed
        votes_C, identity = make(settings, card.categories)
        voter = CategoryVoter(settings.name, settings.feature, votes_C, settings.min_probability)
        return voter, [settings.model_dump(exclude={"word_vectors"}), identity]

    def _listed(
        self, settings: CategoryVote, categories: Sequence[str]
    ) -> tuple[np.ndarray, object]:
        """Give the categories that the settings list their classes."""
        assert settings.categories is not None
        votes_C = np.full(len(categories), ABSTAIN, np.int8)
        for name, owns in settings.categories.items():
            for own in owns:
                found = [index for index, category in enumerate(categories) if category == own]
                if not found:
                    raise ConfigError(
                        f"labeling_functions ({settings.name}).categories: '{settings.feature}' "
                        f"has no category '{own}'; {nearest(own, categories)}"
                    )
                votes_C[found] = self._class_id(name)
        return votes_C, fingerprint(categories)

    def _nearest(
        self, settings: CategoryVote, categories: Sequence[str]
    ) -> tuple[np.ndarray, object]:
        """Give each category the class of its nearest word, computed once."""
        assert settings.words is not None
        assert settings.word_vectors is not None
        vectors = files.local_copy(settings.word_vectors, self.project.s3)
        words = {self._class_id(name): words for name, words in settings.words.items()}
        identity = fingerprint(files.content_hash(vectors), categories, sorted(words.items()))

        def make() -> dict[str, list[float]]:
            door = doors.room("labeling.words")
            table = door.match(categories, words, door.load(vectors))
            return {"votes": table.votes_C.tolist(), "margins": table.margins_C.tolist()}

        table = self.constants.get_or_make(f"category-{identity}", make)
        sure = np.array(table["margins"]) >= settings.min_margin
        return np.where(sure, np.array(table["votes"], np.int8), np.int8(ABSTAIN)), identity

    def _similarity(self, settings: SimilarityVote) -> tuple[Voter, object]:
        extractor = self.extractors[settings.feature]
        if settings.prompts is None:
            return self._threshold(settings, extractor)
        by_class = {k: [t] if isinstance(t, str) else t for k, t in settings.prompts.items()}
        prompts = [(self._class_id(k), text) for k, texts in by_class.items() for text in texts]
        vectors = np.array(self._vectors(extractor, [text for _, text in prompts]), np.float32)
        classes = np.array([k for k, _ in prompts])
        voter = PromptsVoter(
            settings.name, settings.feature, vectors, classes, settings.margin or 0.0
        )
        return voter, [settings, extractor.identity]

    def _threshold(self, settings: SimilarityVote, extractor: Extractor) -> tuple[Voter, object]:
        if settings.text is not None:
            anchor, vector = settings.text, self._vectors(extractor, [settings.text])[0]
        else:
            anchor, vector = self._example(settings, extractor)
        vector_D = np.array(vector, np.float32)

        def number(threshold: Threshold | None) -> float | None:
            if isinstance(threshold, Quantile):
                return self.scores.quantile(extractor, vector_D, threshold.quantile)
            return threshold

        over, under = self._present_and_absent(str(settings.class_), invert=settings.invert)
        above, below = number(settings.present_above), number(settings.absent_below)
        voter = ThresholdVoter(
            settings.name, settings.feature, vector_D[None], above, below, over, under
        )
        return voter, [anchor, extractor.identity, above, below, over, under]

    def _present_and_absent(self, name: str, *, invert: bool) -> tuple[int, int]:
        """Give the votes that say a class is present and absent; among many none says absent."""
        present = self._class_id(name)
        absent = 1 - present if len(self.project.classes) == 2 else ABSTAIN
        return (absent, present) if invert else (present, absent)

    def _example(self, settings: SimilarityVote, extractor: Extractor) -> tuple[str, list[float]]:
        """Embed an example image, or a crop of one, as the images of the project are."""
        path = files.local_copy(str(settings.image), self.project.s3)
        anchor = fingerprint(files.content_hash(path), settings.crop)
        assert extractor.card is not None
        how = extractor.card.preprocess

        def make() -> list[float]:
            try:
                decoded = decode(path.read_bytes(), self.project.engine.max_pixels)
            except Undecodable as error:
                where = f"labeling_functions ({settings.name}).image"
                raise ConfigError(f"{where}: '{path}' is no image: {error}") from None
            if settings.crop is not None:
                decoded = crop(decoded, settings.crop)
            image_HW3 = doors.room("features.resize").prepare(decoded, how)
            model = make_model(with_precision(extractor, "float32"), self.project.s3)
            return [float(value) for value in model.outputs(image_HW3[None])[0]]

        name = f"example-{fingerprint(extractor.identity, anchor)}"
        return anchor, self.constants.get_or_make(name, make)

    def _pattern(self, settings: PatternVote) -> tuple[Voter, object]:
        pattern = settings.regex or of_keywords(settings.keywords or ())
        present, _ = self._present_and_absent(settings.class_, invert=settings.invert)
        voter = PatternVoter(settings.name, settings.column, pattern, present)
        return voter, [settings.column, pattern, present]

    def _vectors(self, extractor: Extractor, texts: Sequence[str]) -> list[list[float]]:
        """Look prompts up one by one; the model is loaded once, for those that are new."""
        names = {text: f"prompt-{fingerprint(extractor.identity, text)}" for text in texts}

        new = [text for text, name in names.items() if self.constants.get(name) is None]

        @cache
        def embedded() -> dict[str, list[float]]:
            settings = extractor.settings
            weights = locate(settings, self.project.s3)
            vectors = doors.feature(settings.kind).prompt_vectors(settings, weights, new)
            return dict(zip(new, vectors.tolist(), strict=True))

        def make(text: str) -> dict[str, Any]:
            return {"text": text, "vector": embedded()[text]}

        find = self.constants.get_or_make
        return [find(names[text], partial(make, text))["vector"] for text in texts]

    def _python(self, settings: PythonVote) -> tuple[Voter, object]:
        function, module, source = python.load(settings.name, settings.function)
        ship(module)
        columns = {name: name for name in settings.metadata}
        for feature in settings.features:
            columns |= {
                f"{feature}_{c}": f"{feature}.{c}" for c in self.extractors[feature].columns.names
            }
        by_row = python.is_snorkel(function)
        voter = python.PythonVoter(settings.name, function, columns, by_row)
        plain = settings.model_dump(exclude={"function"})
        return voter, [plain, settings.function.rpartition(":")[2], source]
