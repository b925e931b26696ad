"""A source is found by its name, in a file or on the command line; a new kind is one class."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pyarrow as pa
import pytest

from tests.sources.contexts import context
from wslabel.config.base import Settings
from wslabel.config.paths import ExistingPath
from wslabel.config.problems import validated
from wslabel.errors import ConfigError, SourceError
from wslabel.sources.folder import FolderConfig
from wslabel.sources.listing import LISTING, check
from wslabel.sources.registry import SOURCES, images_of
from wslabel.sources.source import SourceConfig, SourceContext
from wslabel.sources.table import TableConfig
from wslabel.storage.location import Location


class UriListConfig(SourceConfig):
    """The uris in a text file, one per line.

    Attributes:
        source: Name of this kind of source.
        path: Text file, on disk or S3.
    """

    source: Literal["uri_list"]
    path: ExistingPath

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"path"}

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the uris of the file; each is the id of its image."""
        folder, _, name = self.path.rpartition("/")
        text = Location(folder, context.s3).read(name).to_pybytes().decode()
        uris = text.split()
        columns = {"image_id": uris, "uri": uris}
        columns |= {"split": [None] * len(uris), "truth": [None] * len(uris)}
        return check(pa.table(columns, schema=LISTING), self.path)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> type[Settings]:
    """Register the toy kind for one test; give a section of settings that knows it."""
    monkeypatch.setattr(SOURCES, "_kinds", dict(SOURCES._kinds))
    SOURCES.add(UriListConfig)

    class Section(Settings):
        images: Annotated[SourceConfig, SOURCES]

    return Section


def read(section: type[Settings], folder: Path, **images: object) -> SourceConfig:
    settings = validated(section, {"images": images}, folder / "p.yaml", folder)
    source: SourceConfig = settings.images  # type: ignore[attr-defined]
    return source


def test_a_new_kind_is_one_class(toy: type[Settings], tmp_path: Path) -> None:
    (tmp_path / "uris.txt").write_text("s3://bucket/a.jpg\n/photos/b.jpg\n")
    source = read(toy, tmp_path, source="uri_list", path="uris.txt", shard_size=2)
    assert isinstance(source, UriListConfig)
    assert source.path == str(tmp_path / "uris.txt")
    listing = source.list_images(context())
    assert listing.column("uri").to_pylist() == ["s3://bucket/a.jpg", "/photos/b.jpg"]
    assert source.listing_state(context().s3) is None


def test_a_new_kind_is_checked_as_all_are(toy: type[Settings], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"images\.path: there is no file '.*uris\.txt'"):
        read(toy, tmp_path, source="uri_list", path="uris.txt")
    with pytest.raises(ConfigError, match="unknown key 'pth'; did you mean 'path'"):
        read(toy, tmp_path, source="uri_list", pth="uris.txt")
    with pytest.raises(ConfigError, match="unknown source 'uri_lst'; did you mean 'uri_list'"):
        read(toy, tmp_path, source="uri_lst", path="uris.txt")
    (tmp_path / "uris.txt").write_text("a.jpg\na.jpg\n")
    source = read(toy, tmp_path, source="uri_list", path="uris.txt")
    with pytest.raises(SourceError, match=r"image_id 'a\.jpg' stands more than once"):
        source.list_images(context())


def test_all_kinds_are_registered_by_their_names() -> None:
    names = ["folder", "table", "openimages", "generated", "webdataset", "huggingface"]
    assert list(SOURCES) == names
    assert SOURCES["folder"] is FolderConfig


class TestImagesOf:
    def test_a_folder_or_prefix(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "photos").mkdir()
        monkeypatch.chdir(tmp_path)
        assert images_of("photos") == FolderConfig(source="folder", path=str(tmp_path / "photos"))
        assert images_of("s3://b/c") == FolderConfig(source="folder", path="s3://b/c")

    @pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
    def test_a_table(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        path = str(tmp_path / name)
        assert images_of(path) == TableConfig(source="table", path=path)

    def test_a_file_with_a_section_whose_paths_are_relative_to_it(self, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        file = tmp_path / "p.yaml"
        file.write_text("images: {source: folder, path: photos, seed: 3}\nworkspace: ws\n")
        wanted = FolderConfig(source="folder", path=str(tmp_path / "photos"), seed=3)
        assert images_of(str(file)) == wanted

    def test_what_is_no_source_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"^--images: images\.path: there is no file"):
            images_of(str(tmp_path / "photos"))
        (tmp_path / "p.yaml").write_text("workspace: ws\n")
        with pytest.raises(ConfigError, match=r"p\.yaml: images: input should be a valid dict"):
            images_of(str(tmp_path / "p.yaml"))
        with pytest.raises(ConfigError, match="there is no such project file"):
            images_of(str(tmp_path / "q.yaml"))
