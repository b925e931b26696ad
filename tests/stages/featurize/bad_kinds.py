"""Kinds of features whose code is wrong; processes of their own import them by name."""

import os
import signal
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from wslabel.features.decode import Decoded
from wslabel.features.feature import ImageFeatureConfig
from wslabel.features.model_info import ModelInfo


class BadConfig(ImageFeatureConfig):
    def columns(self, info: ModelInfo | None) -> pa.Schema:
        return pa.schema([pa.field("width", pa.int32())])


class FailsConfig(BadConfig):
    kind: Literal["fails"]

    def compute(self, decoded: Decoded) -> tuple[float]:
        return (1 / 0,)


class MiscountsConfig(BadConfig):
    kind: Literal["miscounts"]

    def compute(self, decoded: Decoded) -> tuple[int, ...]:
        return decoded.pixels_HW3.shape[:2]


class MistypesConfig(BadConfig):
    kind: Literal["mistypes"]

    def compute(self, decoded: Decoded) -> tuple[str]:
        return ("wide",)


class OutOfMemoryConfig(BadConfig):
    kind: Literal["greedy"]

    def compute(self, decoded: Decoded) -> tuple[int]:
        return (len(np.empty(2**62, np.uint8)),)


class KillsConfig(BadConfig):
    kind: Literal["kills"]

    def compute(self, decoded: Decoded) -> tuple[int]:
        os.kill(os.getpid(), signal.SIGKILL)
        return (1,)


class ReadsFileConfig(BadConfig):
    kind: Literal["reads_file"]

    def compute(self, decoded: Decoded) -> tuple[int]:
        return (len(Path(__file__).read_text()),)
