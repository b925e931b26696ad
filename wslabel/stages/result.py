"""What a stage did; every stage returns its own kind of result.

Results of stages that stand on torch are here, so that a stage that has nothing to do can say so
without loading it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from wslabel.engine.step import ItemResult


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What a stage did.

    Attributes:
        stage: Name of the stage.
        made: Shards, groups or networks made now.
        total: Shards, groups or networks that there are.
        num_images: Images gone through now.
        errors: Images that failed now, by kind of error.
        seconds: Time that it took.
    """

    stage: ClassVar[str]
    made: int = 0
    total: int = 0
    num_images: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """Give lines that tell people where to find the rest."""
        return ()


@dataclass(frozen=True, kw_only=True)
class PretrainResult(StageResult):
    """A body that learned from images alone.

    Attributes:
        probe: Accuracy of a linear probe on the features of the body (`pretrained`) and of a random
            one (`random`), and the images it learned from and was judged by; None without a probe.
    """

    stage: ClassVar[str] = "pretrain"
    probe: Mapping[str, float] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Compare the body with a random one."""
        if self.probe is None:
            return ()
        both = f"{self.probe['pretrained']:.4f}, of a random body {self.probe['random']:.4f}"
        return (f"linear probe: accuracy on features of the pretrained body {both}",)


@dataclass(frozen=True, kw_only=True)
class TrainResult(StageResult):
    """Networks that were trained."""

    stage: ClassVar[str] = "train"


@dataclass(frozen=True, kw_only=True)
class PredictResult(StageResult):
    """Predictions that were made.

    Attributes:
        table: Address of the predictions, where a network judged other images than the project's.
        classes: Class names in the order of their ids, where it did.
    """

    stage: ClassVar[str] = "predict"
    table: str | None = None
    classes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Say where the predictions of other images are."""
        if self.table is None:
            return ()
        names = ", ".join(self.classes)
        return (f"classes in the order of their ids: {names}", f"table: {self.table}")


def total_images(results: Sequence[ItemResult]) -> int:
    """Add up the images of some items."""
    return sum(result.num_images for result in results)
