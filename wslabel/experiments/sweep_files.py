"""The trials of a sweep as files, from which it goes on: what each tries, and what came out.

`sweeps/<id>/values/00003.json` appears before trial 3 starts, `sweeps/<id>/results/00003.json` when
it has ended; whoever is first is right. A workspace is written by many: values that the sweep
would never draw are refused, as they name keys of a project, and with them files and code.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from wslabel.config.sweep import Sweep
from wslabel.storage.location import Location
from wslabel.training.draws import Values
from wslabel.training.tuner import TrialResult
from wslabel.workspace.constants import Parse, as_a, read_json


@dataclass(frozen=True)
class SweepFiles:
    """Keeps the trials of one sweep.

    Attributes:
        location: Root of the workspace.
        folder: Folder of the sweep.
        sweep: What is searched.
    """

    location: Location
    folder: str
    sweep: Sweep

    def values(self, number: int, draw: Callable[[], Values]) -> Values:
        """Give the values of a trial, which are drawn if they are not kept yet.

        Raises:
            StorageError: What is kept is nothing that this sweep draws.
        """
        file = f"{self.folder}/values/{number:05d}.json"
        kept = self._read(file, self._values)
        if kept is None:
            self.location.create(file, json.dumps(dict(draw())).encode())
            kept = self._read(file, self._values)
        return dict(kept)

    def result(self, number: int) -> TrialResult | None:
        """Give the result of a finished trial; None where it is not finished.

        Raises:
            StorageError: What is kept is no result of this sweep.
        """
        result: TrialResult | None = self._read(self._result_file(number), self._result)
        return result

    def keep(self, number: int, result: TrialResult) -> None:
        """Keep the result of a finished trial."""
        data = json.dumps(asdict(result), sort_keys=True).encode()
        self.location.create(self._result_file(number), data)

    def _result_file(self, number: int) -> str:
        return f"{self.folder}/results/{number:05d}.json"

    def _read(self, file: str, parse: Parse) -> Any:
        try:
            return read_json(self.location, file, parse)
        except FileNotFoundError:
            return None

    def _values(self, kept: object) -> Values:
        return values_of(self.sweep, kept)

    def _result(self, kept: object) -> TrialResult:
        result: TrialResult = as_a(TrialResult)(kept)
        values_of(self.sweep, result.values)
        return result


def values_of(sweep: Sweep, kept: Any) -> Values:
    """Take what is kept for the values of a trial.

    Raises:
        ValueError: The sweep would never draw them.
    """
    if not sweep.holds(kept):
        raise ValueError("values that the sweep does not search")
    values: Values = kept
    return values
