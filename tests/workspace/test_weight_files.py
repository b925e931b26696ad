"""Weight files are found once, and what starts training counts by its content."""

from pathlib import Path

import pytest

from tests.conftest import Networks
from wslabel.config.base import S3
from wslabel.config.training import Training
from wslabel.errors import WeightsError
from wslabel.features.classifier import ClassifierConfig
from wslabel.storage.files import content_hash
from wslabel.workspace.weight_files import locate, locate_start, start_sha256


class Counted(ClassifierConfig):
    """A classifier whose library puts its default weights where a test wants them."""

    folder: str

    def default_weights(self) -> Path:
        path = Path(self.folder, "default.pth")
        path.write_text(f"{path.read_text()}x" if path.exists() else "x")
        return path


def test_a_file_is_taken_where_it_is(networks: Networks) -> None:
    settings = ClassifierConfig.model_construct(weights=str(networks.classifier))
    assert locate(settings, S3()) == networks.classifier
    with pytest.raises(WeightsError, match=r"there is no file '/nowhere/net\.pth'"):
        locate(ClassifierConfig.model_construct(weights="/nowhere/net.pth"), S3())


def test_a_library_is_asked_once_for_its_default_weights_while_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSLABEL_CACHE", str(tmp_path / "cache"))
    settings = Counted(kind="classifier", model="timm/counted", folder=str(tmp_path))
    for _ in range(3):
        assert locate(settings, S3()).read_text() == "x"
    (tmp_path / "default.pth").unlink()
    assert locate(settings, S3()).read_text() == "x"


def test_a_start_counts_by_the_content_of_its_file(networks: Networks) -> None:
    path = str(networks.classifier)
    assert locate_start("timm/test_efficientnet", path, S3()) == networks.classifier
    start = Training(network="timm/test_efficientnet", feature="thumbnail", weights=path)
    assert start_sha256(start, S3()) == content_hash(networks.classifier)


@pytest.mark.parametrize("weights", [None, "pretrained"])
def test_a_start_that_is_in_no_file_yet_has_no_content(weights: str | None) -> None:
    start = Training(network="cnn", feature="thumbnail", weights=weights)
    assert start_sha256(start, S3()) is None
