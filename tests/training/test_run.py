"""A run knows the settings of learning from labels, also where it has no labels."""

from dataclasses import replace

from tests.training.toys import a_run
from wslabel.config.pretraining import Pretraining
from wslabel.config.training import Training


def test_a_run_without_labels_has_their_defaults() -> None:
    supervised = a_run(settings={"patience": 2, "validate_on": "weak"})
    assert supervised.supervision is supervised.settings
    pretraining = Pretraining(feature="x", method="rotation")
    found = replace(supervised, settings=pretraining).supervision
    assert found == Training(feature="x")
