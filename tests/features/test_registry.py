"""Every kind of feature says of itself what tables and labeling functions rely on."""

import pytest

from wslabel.config.preprocess import Preprocess
from wslabel.features.feature import FeatureConfig, ImageFeatureConfig, NetworkFeatureConfig
from wslabel.features.model_info import ModelInfo
from wslabel.features.registry import FEATURES

INFO = ModelInfo(Preprocess(), ("a", "b"), 4)


@pytest.mark.parametrize("name", list(FEATURES))
def test_a_kind_is_of_pixels_or_of_a_network(name: str) -> None:
    kind = FEATURES[name]
    assert issubclass(kind, ImageFeatureConfig) != issubclass(kind, NetworkFeatureConfig)
    assert kind.version >= 1


@pytest.mark.parametrize("name", list(FEATURES))
def test_columns_are_what_a_kind_says_it_stores(name: str) -> None:
    settings: FeatureConfig = FEATURES[name].model_validate({"kind": name})
    columns = settings.columns(INFO)
    assert len(set(columns.names)) == len(columns.names)
    assert {"image_id", "error"}.isdisjoint(columns.names)
    assert settings.stores_categories == ("category_ids" in columns.names)
    if settings.stores_embedding:
        assert "embedding" in columns.names
    if settings.picture_column is not None:
        assert settings.picture_column in columns.names


def test_versions_are_those_that_tables_were_made_with() -> None:
    versions = {name: FEATURES[name].version for name in FEATURES}
    assert versions == {"color": 1, "thumbnail": 1, "classifier": 2, "clip": 1}
