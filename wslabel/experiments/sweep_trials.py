"""What a sweep finds: its trials, and the best of them on test."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from wslabel.report.evaluation import Performance


@dataclass(frozen=True, kw_only=True)
class SweepTrial:
    """One trial.

    Attributes:
        values: Value of each key that is searched.
        score: What validation says of it, the higher the better; None where it failed.
        epochs: Epochs that it trained; None where it failed.
        network: Folder of its network; None where it failed.
        error: Why it failed; None where it did not.
    """

    values: Mapping[str, Any]
    score: float | None
    epochs: int | None
    network: str | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class SweepTrials:
    """The trials of a sweep, the best first; stored as `reports/sweep-….json`.

    Attributes:
        metric: Figure of the validation split that makes one trial better.
        trials: All trials, the best first.
        test: Performance of the best on the test split.
    """

    metric: str
    trials: tuple[SweepTrial, ...]
    test: Performance

    @property
    def best(self) -> Mapping[str, Any]:
        """Values of the best trial."""
        return self.trials[0].values

    @property
    def num_failed(self) -> int:
        """SweepTrials that failed."""
        return sum(trial.error is not None for trial in self.trials)

    def validated(self, trial: SweepTrial) -> float | None:
        """Give a trial's value of the metric itself, of which a loss is the better the lower."""
        if trial.score is None:
            return None
        return -trial.score if self.metric == "loss" else trial.score

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "metric": self.metric,
            "trials": [asdict(trial) for trial in self.trials],
            "best": dict(self.best),
            "test": self.test.to_json(),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "SweepTrials":
        """Read plain values."""
        trials = TypeAdapter(tuple[SweepTrial, ...]).validate_python(data["trials"])
        test = Performance.from_json(data["test"])
        return SweepTrials(metric=str(data["metric"]), trials=trials, test=test)
