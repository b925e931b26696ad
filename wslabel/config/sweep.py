"""A sweep: which keys of a project are searched, how, and what makes one trial better."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from wslabel.config.base import Settings, refuse
from wslabel.config.extras import absence
from wslabel.config.problems import validated
from wslabel.config.training import WHERE_IT_RUNS
from wslabel.config.yaml_file import read

Numbers = tuple[float, float]


class Dimension(Settings):
    """The values of one key: `grid` tries all of them; the others are drawn from.

    Attributes:
        grid: Values that are tried one by one, with all those of other grids.
        choice: Values of which one is drawn.
        uniform: Two numbers between which one is drawn.
        log_uniform: Two numbers above 0 between which one is drawn, all orders of magnitude alike.
        integer: Two whole numbers from which to which one is drawn, both included.
    """

    grid: list[Any] | None = None
    choice: list[Any] | None = None
    uniform: Numbers | None = None
    log_uniform: Numbers | None = None
    integer: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = self.model_fields_set
        if len(given) != 1:
            names = ", ".join(type(self).model_fields)
            raise refuse(f"expected one of {names}, found {', '.join(sorted(given)) or 'none'}")
        low, high = self.ends or (0, 1)
        if low >= high or (self.log_uniform is not None and low <= 0):
            raise refuse(f"expected two numbers, the lower one first, found {self.ends}")
        if self.values is not None and not self.values:
            raise refuse("expected at least one value")
        return self

    @property
    def values(self) -> list[Any] | None:
        """Give the values of a key that has finitely many; None where there is a range."""
        return self.grid if self.grid is not None else self.choice

    @property
    def ends(self) -> tuple[float, float] | None:
        """Give the ends of a range; None where there is a list."""
        return self.uniform or self.log_uniform or self.integer

    def holds(self, value: object) -> bool:
        """Tell whether a value is one that may be drawn."""
        if self.values is not None:
            return any(type(own) is type(value) and own == value for own in self.values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self.ends or (0, 0)
        return low <= value <= high and (self.integer is None or isinstance(value, int))


class Asha(Settings):
    """Stop trials early that are worse than others at the same epoch (Li et al. 2020).

    Attributes:
        grace_epochs: Epochs for which each trial is left alone.
        reduction: Of so many trials that reach a rung one goes on; the next rung is so many times
            as far.
    """

    grace_epochs: int = Field(1, ge=1)
    reduction: float = Field(3.0, gt=1.0)


class Sweep(Settings):
    """What a sweep file says.

    Attributes:
        project: Path of the project file, relative to the folder of the sweep file.
        search: Searched keys of the project, as `training.label_smoothing` or
            `labeling_functions.NAME.margin`.
        fixed: Keys whose value in all trials is another than in the project file.
        metric: Figure of the validation split that makes one trial better.
        method: `grid` tries all combinations; `random` and `optuna` draw `trials` of them.
        trials: Number of combinations that are drawn, unless the method is grid.
        concurrent: Most trials at a time; null for as many as the cluster holds.
        asha: Early stopping of bad trials; null lets every trial end.
        seed: Seed of what is drawn.
    """

    project: str
    search: dict[str, Dimension] = Field(min_length=1)
    fixed: dict[str, Any] = {}
    metric: Literal["loss", "accuracy", "macro_f1", "roc_auc"] = "accuracy"
    method: Literal["grid", "random", "optuna"] = "grid"
    trials: int = Field(20, ge=1)
    concurrent: int | None = Field(None, ge=1)
    asha: Asha | None = None
    seed: int = 0

    @field_validator("method")
    @classmethod
    def _is_installed(cls, value: str) -> str:
        reason = absence("optuna") if value == "optuna" else None
        if reason is not None:
            raise refuse(reason)
        return value

    @field_validator("search")
    @classmethod
    def _sections(cls, value: dict[str, Dimension]) -> dict[str, Dimension]:
        for key in value:
            section = key.partition(".")[0]
            if section in ("workspace", "classes", "images", "engine", "s3"):
                raise refuse(f"'{key}' cannot be searched: trials share images and cluster")
            if section in ("self_training", "comparison"):
                raise refuse(f"'{key}' cannot be searched: a trial trains one network, once")
            if section in ("training", "pretraining") and key.partition(".")[2] in WHERE_IT_RUNS:
                raise refuse(f"'{key}' cannot be searched: it is the same for all trials; fix it")
            if key == "training.select_by":
                raise refuse("'training.select_by' cannot be searched: it is the sweep's metric")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key, dimension in self.search.items():
            if key in self.fixed:
                raise refuse(f"fixed: '{key}' is searched")
            if self.method == "grid" and dimension.grid is None:
                raise refuse(f"search.{key}: method grid needs a grid; draw with method random")
            if self.method != "grid" and dimension.grid is not None:
                raise refuse(f"search.{key}: method {self.method} draws; write choice, not grid")
            if dimension.ends is not None and not is_cheap(key):
                raise refuse(
                    f"search.{key}: a range would make features anew for each trial; "
                    "write choice with the values to try"
                )
        return self

    def holds(self, values: object) -> bool:
        """Tell whether values of searched keys are some that a trial may have."""
        if not isinstance(values, dict) or values.keys() != self.search.keys():
            return False
        return all(self.search[key].holds(value) for key, value in values.items())

    @property
    def upstream(self) -> list[str]:
        """Name the searched keys that change more than the network that is trained."""
        return [key for key in self.search if not key.startswith("training.")]


def is_cheap(key: str) -> bool:
    """Tell whether a change of a key is worked out within a trial: no image is read for it."""
    return key.partition(".")[0] in ("training", "label_model", "labeling_functions")


def load_sweep(path: str | Path) -> tuple[Sweep, Path, dict[str, Any]]:
    """Read a sweep file; give it with the path of its project and what that file says.

    Raises:
        ConfigError: One sentence per problem.
    """
    file = Path(path)
    sweep = validated(Sweep, read(file), file, file.resolve().parent)
    project = file.parent / sweep.project
    # A trial is one network; what repeats or compares networks would name those it has not.
    left_out = ("self_training", "comparison")
    return sweep, project, {k: v for k, v in read(project).items() if k not in left_out}
