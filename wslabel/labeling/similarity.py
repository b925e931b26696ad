"""Similarity votes: the cosine between an image's embedding and vectors of prompts or examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from wslabel.config.base import Fraction, Settings, refuse
from wslabel.config.paths import ExistingPath
from wslabel.labeling.labeling_function import (
    Batch,
    LabelingFunction,
    LFConfig,
    LFContext,
    MadeFunction,
    Outline,
    Votes,
    class_id,
    present_and_absent,
)
from wslabel.schema import ABSTAIN

ROWS, TILE = 480, 8
"""Embeddings and vectors that are multiplied at a time: few, so that the float32 of them stay in
the cache; and multiples of what the kernels of BLAS take at once (4, 8, 12, 16), or entries at the
edge would be rounded otherwise than those within."""


class Quantile(Settings):
    """A threshold by rank: the score that a share of all images stays below, frozen once found.

    Attributes:
        quantile: Share of the images, 0 to 1.
    """

    quantile: Fraction


def _threshold_kind(value: object) -> str:
    return "quantile" if isinstance(value, dict | Quantile) else "cosine"


Threshold = Annotated[
    Annotated[float, Field(ge=-1.0, le=1.0), Tag("cosine")] | Annotated[Quantile, Tag("quantile")],
    Discriminator(_threshold_kind),
]


class SimilarityLFConfig(LFConfig):
    """Votes by the cosine between an image and a prompt, an example image, or a crop of one.

    Either `text` or `image` of one `class`: votes for it above `present_above` and, in a project of
    two classes, for the other one below `absent_below`. Or `prompts` of several classes: the class
    of the nearest prompt wins if it leads by more than `margin`.

    Attributes:
        name: Name of the function and of its column in the votes table.
        kind: similarity.
        feature: The clip feature whose embedding it reads.
        text: A prompt.
        image: Path or s3:// uri of an example image.
        crop: Part of the example image that counts: left, top, right, bottom as fractions.
        class: The class that the prompt or example is of.
        present_above: Cosine, or rank among all images ({quantile: 0.9}), above which the class is
            present.
        absent_below: Cosine or rank below which the class is absent, in a project of two classes.
        invert: Whether present and absent are exchanged.
        prompts: One or several prompts of each of several classes, which compete.
        margin: Least lead of the nearest class over the next one, in cosine; null for 0.
    """

    kind: Literal["similarity"]
    feature: str
    text: str | None = None
    image: ExistingPath | None = None
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

    def check(self, where: str, outline: Outline) -> None:
        """Refuse unknown classes, a feature without prompts, and an absence that says nothing."""
        for name in self.prompts or [str(self.class_)]:
            outline.check_class(where, name)
        if self.absent_below is not None or (self.invert and self.present_above is not None):
            key = "invert" if self.invert else "absent_below"
            outline.check_absent(f"{where}.{key}", str(self.class_))
        outline.check_feature(f"{where}.feature", self.feature, "clip")

    def make(self, context: LFContext) -> MadeFunction:
        """Embed prompts and examples and find thresholds by rank, each once."""
        return self._threshold(context) if self.prompts is None else self._prompts(context)

    def _prompts(self, context: LFContext) -> MadeFunction:
        assert self.prompts is not None
        by_class = {k: [t] if isinstance(t, str) else t for k, t in self.prompts.items()}
        prompts = [(class_id(context, k), text) for k, texts in by_class.items() for text in texts]
        texts = [text for _, text in prompts]
        vectors_PD = np.array(context.text_vectors(self.feature, texts), np.float32)
        classes_P = np.array([k for k, _ in prompts])
        function = PromptsLF(
            name=self.name,
            feature=self.feature,
            vectors_PD=vectors_PD,
            classes_P=classes_P,
            margin=self.margin or 0.0,
        )
        return MadeFunction(function, [self, context.facts(self.feature).identity])

    def _threshold(self, context: LFContext) -> MadeFunction:
        if self.text is not None:
            anchor, vector = self.text, context.text_vectors(self.feature, [self.text])[0]
        else:
            where = f"labeling_functions ({self.name}).image"
            anchor, vector = context.image_vector(self.feature, str(self.image), self.crop, where)
        vector_D = np.array(vector, np.float32)

        def cosine(threshold: float | Quantile | None) -> float | None:
            if isinstance(threshold, Quantile):
                return context.quantile(self.feature, vector_D, threshold.quantile)
            return threshold

        over, under = present_and_absent(context, str(self.class_), invert=self.invert)
        above, below = cosine(self.present_above), cosine(self.absent_below)
        function = ThresholdLF(
            name=self.name,
            feature=self.feature,
            vectors_PD=vector_D[None],
            above=above,
            below=below,
            over=over,
            under=under,
        )
        identity = [anchor, context.facts(self.feature).identity, above, below, over, under]
        return MadeFunction(function, identity)


class _OnEmbeddings(LabelingFunction):
    """What functions that go by cosines do alike."""

    feature: str
    vectors_PD: np.ndarray
    score_range: ClassVar[tuple[float, float] | None] = (-1.0, 2.0)

    @property
    def reads(self) -> tuple[str, ...]:
        """Column of the embedding."""
        return (f"{self.feature}.embedding",)

    @property
    def embedding(self) -> tuple[str, np.ndarray]:
        """Name the feature and give the vectors."""
        return self.feature, self.vectors_PD

    def _cosines(self, batch: Batch) -> np.ndarray:
        """Take the cosines [p, n] that the applier passed on, or multiply."""
        shared = batch.get(self.cosines_column)
        if shared is not None:
            return shared
        return cosines(self.vectors_PD, batch[f"{self.feature}.embedding"])


@dataclass(frozen=True, eq=False, kw_only=True)
class PromptsLF(_OnEmbeddings):
    """Votes for the class of the nearest prompt, if it leads over the next class by more.

    Attributes:
        name: Name of the function.
        feature: The feature that holds the embedding.
        vectors_PD: L2-normalized vectors of the prompts.
        classes_P: Class id of each prompt; at least two classes.
        margin: Lead of the nearest class that must be exceeded.
    """

    name: str
    feature: str
    vectors_PD: np.ndarray
    classes_P: np.ndarray
    margin: float

    def scores(self, batch: Batch) -> np.ndarray:
        """Give the lead of the nearest class over the next one."""
        return self._ranked(self._cosines(batch))[1]

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The margin."""
        return {"margin": self.margin}

    def __call__(self, batch: Batch) -> Votes:
        """Vote where the lead exceeds the margin; an image without an embedding abstains."""
        votes, leads_N = self._ranked(self._cosines(batch))
        return np.where(leads_N > self.margin, votes, np.int8(ABSTAIN))

    def _ranked(self, cosines_PN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes = np.unique(self.classes_P)
        scores_KN = np.stack([cosines_PN[self.classes_P == k].max(axis=0) for k in classes])
        best_N = scores_KN.argmax(axis=0)
        leaders_N = scores_KN.max(axis=0)
        np.put_along_axis(scores_KN, best_N[None], -np.inf, axis=0)
        return classes[best_N].astype(np.int8), leaders_N - scores_KN.max(axis=0)


@dataclass(frozen=True, eq=False, kw_only=True)
class ThresholdLF(_OnEmbeddings):
    """Votes by the cosine to one vector.

    Attributes:
        name: Name of the function.
        feature: The feature that holds the embedding.
        vectors_PD: One L2-normalized vector, of a prompt or an example image.
        above: Cosine above which it votes `over`; None abstains there.
        below: Cosine below which it votes `under`; None abstains there.
        over: Class id.
        under: Class id.
    """

    name: str
    feature: str
    vectors_PD: np.ndarray
    above: float | None
    below: float | None
    over: int
    under: int

    def scores(self, batch: Batch) -> np.ndarray:
        """Give the cosine."""
        return np.asarray(self._cosines(batch)[0])

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The cosines beyond which it votes."""
        ends = {"above": self.above, "below": self.below}
        return {name: cosine for name, cosine in ends.items() if cosine is not None}

    def __call__(self, batch: Batch) -> Votes:
        """Vote where the cosine is beyond a threshold; comparisons with NaN are false."""
        cosine_N = self.scores(batch)
        votes = np.full(len(cosine_N), ABSTAIN, np.int8)
        if self.above is not None:
            votes[cosine_N > self.above] = self.over
        if self.below is not None:
            votes[cosine_N < self.below] = self.under
        return votes


def cosines(vectors_PD: np.ndarray, embeddings_ND: np.ndarray) -> np.ndarray:
    """Multiply; a score depends on its own vector and image alone, to the last bit; [p, n].

    A product of matrices rounds each entry as the shape of the whole asks for, so all products here
    are of one shape: a threshold can sit anywhere.
    """
    num_vectors, dim = vectors_PD.shape
    tiles = -(-num_vectors // TILE)
    padded_PD = np.zeros((tiles * TILE, dim), np.float32)
    padded_PD[:num_vectors] = vectors_PD
    tiles_DP = [np.ascontiguousarray(tile.T) for tile in np.split(padded_PD, tiles)]
    cosines_PN = np.empty((tiles * TILE, len(embeddings_ND)), np.float32)
    block_ND = np.zeros((ROWS, dim), np.float32)
    for start in range(0, len(embeddings_ND), ROWS):
        part = embeddings_ND[start : start + ROWS]
        block_ND[: len(part)] = part
        for number, tile_DP in enumerate(tiles_DP):
            own = slice(number * TILE, (number + 1) * TILE), slice(start, start + len(part))
            cosines_PN[own] = (block_ND @ tile_DP)[: len(part)].T
    return cosines_PN[:num_vectors]
