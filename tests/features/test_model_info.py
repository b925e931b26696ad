"""What is known of a model is kept as plain values and read back as it was."""

import json

import pytest
from pydantic import TypeAdapter

from wslabel.config.preprocess import Preprocess
from wslabel.features.model_info import ModelInfo


@pytest.mark.parametrize(
    "info",
    [
        ModelInfo(Preprocess()),
        ModelInfo(Preprocess(resize=32, crop=30, mode="squash"), ("sea", "forest"), 16),
    ],
)
def test_it_survives_json(info: ModelInfo) -> None:
    assert TypeAdapter(ModelInfo).validate_json(json.dumps(info.to_dict())) == info
