"""The tree of errors.

WslabelError                    everything below; the command line prints its one sentence and ends
├── ConfigError                 the project file: key, found, expected, nearest choice
├── SourceError                 the images that a source should list
├── WeightsError                a model file that is absent, changed, or does not fit its network
├── FeatureError                a feature's own code raised or returned something else than values
├── LabelingFunctionError       a labeling function raised or returned something else than votes
├── StorageError                a place that cannot be read or written
│   └── TransientStorageError   throttling, resets, time-outs: worth another try
├── ClusterError                a cluster that does not answer, or refuses the token
├── ClusterTooSmall             the cluster can never run this job
├── TrainingError               a network that could not be trained
├── TooManyErrors               too large a share of the images failed
└── WorkLeft                    some shards could not be finished; running again takes them up
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

from wslabel.screen import visible
from wslabel.uri import hushed


class WslabelError(Exception):
    """What went wrong, in one sentence that names the place and the next step."""

    is_list: ClassVar[bool] = False
    """Whether it may be several sentences, one on each line."""

    def __init__(self, *said: str) -> None:
        """Say it so that nothing in it steers a terminal, and without passwords of uris."""
        super().__init__(*(self._shown(text) for text in said))

    def _shown(self, text: str) -> str:
        lines = text.split("\n") if self.is_list else [text]
        return "\n".join(visible(hushed(line)) for line in lines)


class ConfigError(WslabelError, ValueError):
    """The project file asks for something that cannot be."""

    is_list = True


class SourceError(WslabelError, ValueError):
    """A source cannot list its images."""


class WeightsError(WslabelError, ValueError):
    """A model file is absent, changed or of another network."""


class FeatureError(WslabelError):
    """The code of a feature failed, which is no fault of the image; a bug is never an error row."""


class LabelingFunctionError(WslabelError):
    """A labeling function failed; a failure is never a vote."""


class StorageError(WslabelError, OSError):
    """A place cannot be read or written."""


class TransientStorageError(StorageError):
    """A place did not answer properly this time."""


class ClusterError(WslabelError):
    """The cluster does not answer, or takes no work from us."""


class ClusterTooSmall(WslabelError):
    """The cluster lacks what the job needs, now and later."""


class TrainingError(WslabelError):
    """Workers that train failed more often than the settings allow."""


class TooManyErrors(WslabelError):
    """Too large a share of the images failed."""


class WorkLeft(WslabelError):
    """Some shards stayed uncommitted; the next run takes them up."""


SHOWN = 30
"""Valid choices listed where none is near."""


def nearest(word: object, choices: Iterable[object]) -> str:
    """Say which valid choice lies nearest to a word, or list them all.

    >>> nearest("epoch", ["epochs", "seed"])
    "did you mean 'epochs'?"
    >>> nearest("x", ["epochs", "seed"])
    "valid: 'epochs', 'seed'"
    """
    names = sorted(str(choice) for choice in choices)
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if not names:
        return "none is valid here"
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return "valid: " + ", ".join(f"'{name}'" for name in names[:SHOWN]) + more
