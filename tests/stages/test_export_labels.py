"""An export is one whole file, and never takes the place of another."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow.csv as pacsv
import pytest

from tests.conftest import Learnable
from wslabel.errors import ConfigError
from wslabel.exports.exporter import ExportConfig, LabeledImages
from wslabel.exports.table import CsvConfig
from wslabel.stages.export_labels import export_labels
from wslabel.workspace.reading import read
from wslabel.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(learnable: Learnable) -> Workspace:
    return Workspace(learnable.load(name="export"))


def test_the_file_holds_a_row_per_image(workspace: Workspace, tmp_path: Path) -> None:
    path = export_labels(workspace, CsvConfig(kind="csv"), "labels", tmp_path / "new")
    assert path == str(tmp_path / "new" / "labels.csv")
    table = pacsv.read_csv(path)
    labels = read(workspace, "labels")
    assert table.column("image_id").to_pylist() == labels.column("image_id").to_pylist()
    names = [
        workspace.project.classes[k] if k is not None else ""
        for k in labels.column("label").to_pylist()
    ]
    assert table.column("label").to_pylist() == names
    with pytest.raises(ConfigError, match=r"labels\.csv: there is such a file already"):
        export_labels(workspace, CsvConfig(kind="csv"), "labels", tmp_path / "new")


class BrokenConfig(ExportConfig):
    """Ends in the middle."""

    kind: Literal["broken"]

    @property
    def extension(self) -> str:
        return ".txt"

    def write(
        self, groups: Iterator[LabeledImages], classes: Sequence[str], sink: BinaryIO
    ) -> None:
        sink.write(b"half")
        raise RuntimeError("no more")


def test_an_export_that_fails_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no more"):
        export_labels(workspace, BrokenConfig(kind="broken"), "labels", tmp_path)
    assert list(tmp_path.iterdir()) == []
