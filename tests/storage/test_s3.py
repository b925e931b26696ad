"""S3 is found where the settings say, and else where AWS's own variables do."""

import pytest

from wslabel.config.base import S3
from wslabel.storage.s3 import endpoint_of, region_of


def test_the_environment_names_what_settings_leave_open(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert endpoint_of(S3()) is None
    assert region_of(S3()) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://general")
    assert endpoint_of(S3()) == "http://general"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://special")
    assert endpoint_of(S3()) == "http://special"
    assert endpoint_of(S3(endpoint="http://own")) == "http://own"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert region_of(S3()) == "eu-west-1"
    assert region_of(S3(region="us-west-2")) == "us-west-2"
