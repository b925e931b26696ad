"""Settings are strict about keys, and an endpoint never carries or repeats a secret."""

from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from tests.projects import ENDPOINT, assert_refused, full, put, write
from wslabel.config.base import Settings, shortened
from wslabel.errors import ConfigError
from wslabel.project.loading import load


class Crop(Settings):
    size: int = 3
    class_: str = Field("sea", alias="class")


def test_settings_are_frozen_and_know_a_key_by_its_alias_too() -> None:
    assert Crop.model_validate({"class": "jungle"}).class_ == "jungle"
    with pytest.raises(ValidationError, match="frozen"):
        Crop().size = 4  # type: ignore[misc]


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="unknown key 'clas'; did you mean 'class'"):
        Crop.model_validate({"clas": "sea"})


def test_an_endpoint_with_credentials_is_refused(home: Path) -> None:
    change = put("s3", "endpoint", value=ENDPOINT)
    assert_refused(home, change, [": s3.endpoint: ", "must not carry credentials"])


def test_a_secret_is_not_repeated(home: Path) -> None:
    config = full()
    config["s3"]["endpoint"] = ENDPOINT
    with pytest.raises(ConfigError) as caught:
        load(write(home, config))
    assert "secret" not in str(caught.value)


def test_long_values_are_shortened_for_a_message() -> None:
    assert shortened("x" * 58) == repr("x" * 58)
    assert shortened("x" * 59) == "'" + "x" * 56 + "..."
