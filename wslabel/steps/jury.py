"""From the `labeling_functions:` of a config to voters with their constants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wslabel.config import fingerprint
from wslabel.engine.tasks import ship
from wslabel.labeling import python
from wslabel.labeling.batch import Voter
from wslabel.labeling.category import CategoryVoter
from wslabel.labeling.color import CHANNELS, ColorVoter
from wslabel.labeling.jury import Jury
from wslabel.labeling.similarity import SimilarityVoter
from wslabel.schema import ABSTAIN
from wslabel.settings import CategoryVote, ColorVote, Project, PythonVote, SimilarityVote
from wslabel.steps import doors
from wslabel.steps.constants import Constants
from wslabel.steps.extractors import Extractor, locate
from wslabel.storage import files


@dataclass(frozen=True)
class Court:
    """The jury and what names its votes."""

    jury: Jury
    identity: str


def court(project: Project, extractors: Mapping[str, Extractor], constants: Constants) -> Court:
    """Make all labeling functions; what does not depend on the image is computed here, once."""
    maker = _Maker(project, extractors, constants)
    made = [maker.make(settings) for settings in project.labeling_functions]
    voters = [voter for voter, _ in made]
    identities = [identity for _, identity in made]
    return Court(Jury(voters, len(project.classes)), fingerprint(project.classes, identities))


@dataclass(frozen=True)
class _Maker:
    project: Project
    extractors: Mapping[str, Extractor]
    constants: Constants

    def make(self, settings: Any) -> tuple[Voter, object]:
        """Make one voter, and the values that identify its votes beside its features' tables."""
        makers: dict[str, Callable[[Any], tuple[Voter, object]]] = {
            "color": self._color,
            "category": self._category,
            "similarity": self._similarity,
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
        vectors = files.local_copy(settings.word_vectors, self.project.s3)
        words = {self._class_id(name): words for name, words in settings.words.items()}
        identity = fingerprint(files.content_hash(vectors), card.categories, sorted(words.items()))

        def make() -> dict[str, list[float]]:
            door = doors.room("labeling.words")
            table = door.match(card.categories, words, door.load(vectors))
            return {"votes": table.votes_C.tolist(), "margins": table.margins_C.tolist()}

        table = self.constants.get_or_make(f"category-{identity}", make)
        sure = np.array(table["margins"]) >= settings.min_margin
        votes_C = np.where(sure, np.array(table["votes"], np.int8), np.int8(ABSTAIN))
        voter = CategoryVoter(settings.name, settings.feature, votes_C, settings.min_probability)
        return voter, [settings.model_dump(exclude={"word_vectors"}), identity]

    def _similarity(self, settings: SimilarityVote) -> tuple[Voter, object]:
        prompts = [(self._class_id(k), t) for k, texts in settings.classes().items() for t in texts]
        extractor = self.extractors[settings.feature]
        vectors = np.array(self._vectors(extractor, [text for _, text in prompts]), np.float32)
        voter = SimilarityVoter(
            settings.name,
            settings.feature,
            vectors,
            np.array([k for k, _ in prompts]),
            settings.present_above,
            settings.margin or 0.0,
        )
        return voter, [settings, extractor.identity]

    def _vectors(self, extractor: Extractor, texts: Sequence[str]) -> list[list[float]]:
        """Look prompts up one by one, and embed those that are new together."""
        names = [f"prompt-{fingerprint(extractor.identity, text)}" for text in texts]
        new = [(n, t) for n, t in zip(names, texts, strict=True) if self.constants.get(n) is None]
        if new:
            settings = extractor.settings
            weights = locate(settings, self.project.s3)
            door = doors.feature(settings.kind)
            for name, text in new:
                vector = door.prompt_vectors(settings, weights, [text])[0].tolist()
                self.constants.keep(name, {"text": text, "vector": vector})
        return [self.constants.get(name)["vector"] for name in names]

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
