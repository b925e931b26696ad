"""The typed settings of a project file: keys mirror folders and fields, strictly.

Every settings class is frozen and refuses unknown keys, naming the nearest valid one. Checks that
need more than one section stand in `Project`; checks that touch files stand in `config`.
"""

import math
import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from wslabel.errors import nearest
from wslabel.schema import RESERVED

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


def refuse(message: str) -> PydanticCustomError:
    """Make the error of a check of ours, worded as one sentence."""
    return PydanticCustomError("refused", "{message}", {"message": message})


class Settings(BaseModel):
    """A section of the project file."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, strict=False)

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
    """How to reach S3; credentials come from the environment, never from here."""

    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False

    @field_validator("endpoint")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and "@" in value:
            raise refuse("an endpoint must not carry credentials; set them in the environment")
        return value


class Split(Settings):
    """Fractions of the images; they add up to 1."""

    train: Fraction = 0.7
    val: Fraction = 0.1
    test: Fraction = 0.2

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if not math.isclose(self.train + self.val + self.test, 1.0, abs_tol=1e-6):
            raise refuse(
                f"train + val + test must be 1, found {self.train + self.val + self.test:g}"
            )
        return self


class Source(Settings):
    """What all sources have in common."""

    split: Split = Split()
    seed: int = 0
    shard_size: int = Field(512, ge=1, le=32768)
    s3: S3 | None = None


class Folder(Source):
    """All images under a path or S3 prefix; the class is the folder's name where wanted."""

    source: Literal["folder"]
    path: str
    classes: dict[str, str | list[str]] | None = None
    other_folders: Literal["skip", "keep"] = "skip"
    extensions: list[str] = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"]


class TableSource(Source):
    """A CSV or Parquet file with one uri per row."""

    source: Literal["table"]
    path: str
    uri: str = "uri"
    image_id: str | None = None
    truth: str | None = None
    split_column: str | None = None
    metadata: list[str] = []
    classes: dict[str, str | list[str]] | None = None

    @field_validator("metadata")
    @classmethod
    def _free_names(cls, value: list[str]) -> list[str]:
        for name in value:
            if value.count(name) > 1:
                raise refuse(f"metadata column '{name}' is named twice")
            if name in RESERVED:
                raise refuse(f"metadata column '{name}' has a name of ours; rename it in the file")
        return value


Images = Annotated[Folder | TableSource, Field(discriminator="source")]


class Color(Settings):
    """Channel means and the count of pixels that each channel wins."""

    kind: Literal["color"]


class Thumbnail(Settings):
    """A JPEG of which the shorter side has `size` pixels."""

    kind: Literal["thumbnail"]
    size: int = Field(256, ge=16, le=4096)
    quality: int = Field(90, ge=1, le=100)


class Preprocess(Settings):
    """Resize the shorter side (or squash), crop the center, then (pixel / 255 - mean) / std."""

    resize: int = Field(256, ge=1)
    mode: Literal["shortest", "squash"] = "shortest"
    crop: int = Field(224, ge=1)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class Categories(Settings):
    """A text file with one category name per line, in the order of the network's outputs."""

    file: str
    skip_lines: int = Field(0, ge=0)


class Model(Settings):
    """What all network features have in common."""

    weights: str = "DEFAULT"
    precision: Precision = "auto"
    batch_size: int | None = Field(None, ge=1, le=4096)


class Classifier(Model):
    """A torchvision or timm classifier: its top categories and, when asked, its embedding."""

    kind: Literal["classifier"]
    model: str = "torchvision/efficientnet_b0"
    model_options: dict[str, Any] = {}
    categories: list[str] | Categories | None = None
    preprocess: Preprocess | None = None
    top_k: int = Field(5, ge=0, le=100)
    embedding: bool = False

    @field_validator("model")
    @classmethod
    def _has_library(cls, value: str) -> str:
        if value.partition("/")[0] not in ("torchvision", "timm") or "/" not in value:
            raise refuse(f"expected torchvision/NAME or timm/NAME, found '{value}'")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.top_k and not self.embedding:
            raise refuse("top_k: 0 without embedding: true would store nothing")
        if self.weights != "DEFAULT":
            if self.preprocess is None:
                raise refuse("weights from a file need a 'preprocess' (resize, crop, mean, std)")
            if self.top_k and self.categories is None:
                raise refuse("weights from a file need 'categories' (or top_k: 0)")
        return self


class Clip(Model):
    """An open_clip model's L2-normalized image embedding.

    `model` is a name of open_clip, or the path of a model config (`<name>.json`); `weights` is one
    of open_clip's tags, or the path of a checkpoint.
    """

    kind: Literal["clip"]
    model: str = "ViT-B-32"
    weights: str = "laion2b_s34b_b79k"


Feature = Annotated[Color | Thumbnail | Classifier | Clip, Field(discriminator="kind")]
FEATURE_KINDS = ("color", "thumbnail", "classifier", "clip")


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


class LabelModel(Settings):
    """How votes become probabilities; the majority vote is always stored beside."""

    kind: Literal["snorkel", "majority"] = "snorkel"
    epochs: int = Field(500, ge=1)
    learning_rate: float = Field(0.01, gt=0.0)
    l2: float = Field(0.0, ge=0.0)
    optimizer: Literal["sgd", "adam", "adamax"] = "sgd"
    seed: int = 123
    class_balance: list[float] | None = None


Labels = Literal["original", "soft", "hard"]


class Training(Settings):
    """A network trained on truth (`original`) and on weak labels (`soft`, `hard`).

    `network: linear` reads the embedding in `feature`; any other reads the thumbnails in it.
    `weights` starts a network from a checkpoint, or from its library's DEFAULT; null starts it from
    random numbers.
    """

    network: str = "linear"
    feature: str
    labels: list[Labels] = ["original", "soft", "hard"]
    weights: str | None = None
    preprocess: Preprocess = Preprocess()
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(0.001, gt=0.0)
    weight_decay: float = Field(1e-4, ge=0.0)
    seed: int = 0
    validate_on: Literal["truth", "weak"] | None = None
    workers: int = Field(1, ge=1)
    use_gpu: bool = False

    @field_validator("labels")
    @classmethod
    def _some_once(cls, value: list[str]) -> list[str]:
        if not value or len(set(value)) != len(value):
            raise refuse(f"name at least one of original, soft, hard, each once, found {value}")
        return value

    @field_validator("network")
    @classmethod
    def _known_network(cls, value: str) -> str:
        if value != "linear" and value.partition("/")[0] not in ("torchvision", "timm"):
            raise refuse(f"expected linear, torchvision/NAME or timm/NAME, found '{value}'")
        return value


class Engine(Settings):
    """How the work is spread; what is null follows from what the cluster has.

    Up to `driver_groups` groups of cheap work (votes, labels, evaluation, predictions of a linear
    head) are done in the driver itself, which spares a laptop the start of Ray.
    """

    address: str | None = None
    actors: int | None = Field(None, ge=1)
    cpus_per_actor: float | None = Field(None, gt=0.0)
    gpus_per_actor: float | None = Field(None, ge=0.0)
    batch_size: int = Field(32, ge=1, le=4096)
    fetch_threads: int = Field(16, ge=1, le=256)
    max_pixels: int = Field(178_956_970, ge=1)
    max_error_share: Fraction = 0.2
    driver_groups: int = Field(2, ge=0)


class Project(Settings):
    """One labeling project: what a YAML file under `configs/` says."""

    workspace: str
    classes: list[str] = Field(min_length=2, max_length=127)
    images: Images
    features: dict[str, Feature]
    labeling_functions: list[Vote] = []
    label_model: LabelModel = LabelModel()
    training: Training | None = None
    engine: Engine = Engine()
    s3: S3 = S3()

    @field_validator("classes")
    @classmethod
    def _unique_classes(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise refuse("a class is named twice")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_truth()
        for index, vote in enumerate(self.labeling_functions):
            self._check_vote(f"labeling_functions[{index}] ({vote.name})", vote)
        names = [vote.name for vote in self.labeling_functions]
        for name in names:
            if names.count(name) > 1:
                raise refuse(f"labeling_functions: '{name}' is named twice")
        if names and self.label_model.kind == "snorkel" and len(names) < 3:
            raise refuse(
                f"label_model: snorkel needs at least 3 labeling functions, found {len(names)}; "
                "add some or use kind: majority"
            )
        self._check_training()
        return self

    def _check_truth(self) -> None:
        classes = self.images.classes or {}
        for name in classes:
            self._check_class("images.classes", name)
        owns = [o for own in classes.values() for o in ([own] if isinstance(own, str) else own)]
        for own in owns:
            if owns.count(own) > 1:
                raise refuse(f"images.classes: '{own}' is named twice")
        balance = self.label_model.class_balance
        if balance is not None and len(balance) != len(self.classes):
            raise refuse(
                f"label_model.class_balance: expected {len(self.classes)} numbers, "
                f"found {len(balance)}"
            )

    def _check_class(self, where: str, name: str) -> None:
        if name not in self.classes:
            raise refuse(f"{where}: unknown class '{name}'; {nearest(name, self.classes)}")

    def _check_feature(self, where: str, name: str, kind: str | None) -> None:
        fitting = [n for n, f in self.features.items() if kind is None or f.kind == kind]
        if name not in fitting:
            what = f"no {kind or ''} feature".replace("  ", " ")
            raise refuse(f"{where}: there is {what} named '{name}'; {nearest(name, fitting)}")

    def _check_vote(self, where: str, vote: Vote) -> None:
        if isinstance(vote, PythonVote):
            for name in vote.features:
                self._check_feature(f"{where}.features", name, None)
            return
        self._check_feature(f"{where}.feature", vote.feature, vote.feature_kind)
        for name in _classes_of(vote):
            self._check_class(where, name)
        feature = self.features[vote.feature]
        if isinstance(feature, Classifier) and not feature.top_k:
            raise refuse(f"{where}.feature: '{vote.feature}' stores no categories (top_k: 0)")

    def _check_training(self) -> None:
        training = self.training
        if training is None:
            return
        where = "training.feature"
        weak = set(training.labels) & {"soft", "hard"} or training.validate_on == "weak"
        if weak and not self.labeling_functions:
            raise refuse("training.labels: soft and hard need labeling_functions")
        if training.network != "linear":
            self._check_feature(where, training.feature, "thumbnail")
            return
        if training.weights is not None:
            raise refuse("training.weights: a linear head starts from random numbers")
        embedded = {
            name: f
            for name, f in self.features.items()
            if f.kind == "clip" or (f.kind == "classifier" and f.embedding)
        }
        if training.feature not in embedded:
            raise refuse(
                f"{where}: '{training.feature}' stores no embedding; "
                f"{nearest(training.feature, embedded)}"
            )


def _classes_of(vote: ColorVote | CategoryVote | SimilarityVote) -> list[str]:
    if isinstance(vote, ColorVote):
        return list(vote.votes.values())
    return list(vote.words if isinstance(vote, CategoryVote) else vote.classes())
