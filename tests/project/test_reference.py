"""Every key stands in the reference, with what it is."""

from typing import Any

import pytest
from pydantic import BaseModel

from wslabel.config.sweep import Sweep
from wslabel.project.loading import REGISTRIES
from wslabel.project.project import Project
from wslabel.project.reference import described, reference

SECTIONS: list[Any] = [
    Project,
    Sweep,
    *(registry[name] for registry in REGISTRIES.values() for name in registry),
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_field_of_every_kind_has_a_description(section: type[BaseModel]) -> None:
    keys = {field.alias or name for name, field in section.model_fields.items()}
    assert keys <= set(described(section))
    assert all(described(section).values())


def test_every_section_stands_once_with_its_bounds_and_defaults() -> None:
    text = reference()
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert len(heads) == len(set(heads))
    assert "| `shard_size` | integer, ≥ 1, ≤ 32768 | 512 | Number of images in a shard. |" in text
    assert "### `pretraining.augment`" in heads
    assert "| `augment` | section or null, as `pretraining.augment` | null |" in text
    assert "### `images (source: folder)`" in heads
