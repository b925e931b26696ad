"""The bytes of one image to what features need of it: values, and inputs of networks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from wslabel.config.preprocess import Preprocess
from wslabel.errors import FeatureError, WslabelError
from wslabel.features.decode import Decoded, Undecodable
from wslabel.features.decoder import MOST_AT_ONCE, PORTION_BYTES, Decoder
from wslabel.features.feature import ImageFeatureConfig
from wslabel.features.time_limit import time_limit


@dataclass(frozen=True)
class PreparedImage:
    """One image, ready for the models.

    Attributes:
        error: Error kind; None where there is none.
        values: Values of the features that need no network, by feature.
        inputs: uint8 input of the networks, one per kind of input.
        failure: How the code of a feature failed, which must stop the job; None where it did not.
    """

    error: str | None = None
    values: Mapping[str, Sequence[object]] = field(default_factory=dict)
    inputs: tuple[np.ndarray, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class ImagePreparer:
    """Bytes to a prepared image; runs in workers and, isolated, in children of theirs.

    Only the decoder sees bytes of strangers; features see its pixels and may do what code may.

    Attributes:
        pixel_features: Features that need no network, by name.
        inputs: Kinds of input that networks ask for.
        decoder: Turns bytes into pixels, in a process of its own.
    """

    pixel_features: tuple[tuple[str, ImageFeatureConfig], ...]
    inputs: tuple[Preprocess, ...]
    decoder: Decoder

    def __call__(self, fetched: bytes | str) -> PreparedImage:
        """Prepare what was fetched: bytes, or the kind of error that came instead."""
        (prepared,) = self.all([fetched])
        return prepared

    def all(self, fetched: Iterable[bytes | str]) -> Iterator[PreparedImage]:
        """Prepare what was fetched, small images several at a time."""
        for some in portions(fetched):
            decoded = iter(self.decoder.all([data for data in some if isinstance(data, bytes)]))
            kinds = [what if isinstance(what, str) else None for what in some]
            some.clear()  # or they would be alive while more are fetched
            for kind in kinds:
                yield self._of(next(decoded)) if kind is None else PreparedImage(kind)

    def _of(self, decoded: Decoded | Undecodable) -> PreparedImage:
        if isinstance(decoded, Undecodable):
            return PreparedImage(decoded.kind)
        if self._resizes:
            _resizer()  # before the clock runs
        with time_limit(self.decoder.timeout_s):
            try:
                return self._prepared(decoded)
            except MemoryError:
                return PreparedImage("too_large")

    @property
    def _resizes(self) -> bool:
        return bool(self.inputs) or any(of.picture_column for _, of in self.pixel_features)

    def _prepared(self, decoded: Decoded) -> PreparedImage:
        values = {}
        for name, settings in self.pixel_features:
            try:
                with blaming(name):
                    values[name] = tuple(settings.compute(decoded))
            except FeatureError as error:
                if isinstance(error.__cause__, MemoryError):
                    return PreparedImage("too_large")
                return PreparedImage(failure=str(error))  # the image is known to others
        if not self.inputs:
            return PreparedImage(values=values)
        inputs = tuple(_resizer()(decoded, kind) for kind in self.inputs)
        return PreparedImage(values=values, inputs=inputs)


def portions(fetched: Iterable[bytes | str]) -> Iterator[list[bytes | str]]:
    """Gather small images, as many as are decoded at a time, and large ones one by one.

    >>> [len(some) for some in portions([b"small"] * 20 + [bytes(10**6)] * 2)]
    [16, 5, 1]
    """
    some: list[bytes | str] = []
    total = 0
    for data in fetched:
        some.append(data)
        total += len(data)
        del data
        if total > PORTION_BYTES or len(some) == MOST_AT_ONCE:
            yield some
            some, total = [], 0
    if some:
        yield some


def _resizer() -> Callable[[Decoded, Preprocess], np.ndarray]:
    from wslabel.features.resize import prepare  # noqa: PLC0415 - loads torch, which takes seconds

    return prepare


@contextmanager
def blaming(name: str) -> Iterator[None]:
    """Say of which feature the code is that raises; nothing that it raises is hidden.

    Raises:
        FeatureError: It raised something that is not ours.
    """
    try:
        yield
    except WslabelError:
        raise
    except Exception as error:
        raise FeatureError(f"feature {name} raised {said(error)}") from error


def said(error: Exception) -> str:
    """Say on one line what other code raised; torch adds a trace of its own below it."""
    lines = str(error).splitlines()
    return ": ".join([type(error).__name__, *lines[:1]])
