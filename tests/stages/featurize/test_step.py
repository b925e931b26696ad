"""A shard through all features that lack it: rows stay in order, failures are rows too."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import Networks
from tests.small import small_project
from tests.stages.featurize import bad_kinds
from wslabel.engine.room import Room
from wslabel.errors import FeatureError, SourceError, TooManyErrors
from wslabel.features.color import ColorConfig
from wslabel.features.decode import decode
from wslabel.features.feature import ImageFeatureConfig
from wslabel.project.project import Project
from wslabel.stages import ingest
from wslabel.stages.featurize import step as step_module
from wslabel.stages.featurize.featurize import featurize_step
from wslabel.stages.featurize.prepare import ImagePreparer, PreparedImage
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import ShardItem, Workspace

RETRY = frozenset({"not_an_image", "missing"})
TWO: Mapping[str, Any] = {"color": None, "thumbnail": {"size": 32}}


def ingested(folder: Path, photos: Path, **sections: Any) -> Project:
    folder.mkdir(exist_ok=True)
    project = small_project(folder, photos, **sections)
    ingest.run(Workspace(project))
    return project


def compute(project: Project, item: ShardItem, *, isolated: bool = False) -> dict[str, int]:
    """Do both halves of a shard in this process."""
    step = featurize_step(Workspace(project))
    result = step.finish(item, step.prepare(item, isolated=isolated))
    assert result.item == item.key
    return result.errors


def table(project: Project, name: str, shard: int = 0, generation: int = 0) -> pa.Table:
    workspace = Workspace(project)
    return workspace.extractors[name].table(workspace.location).read(shard_name(shard, generation))


def path_of(project: Project, row: int) -> Path:
    uris = Workspace(project).images.read(shard_name(0)).column("uri")
    return Path(uris[row].as_py())


def spoil(path: Path) -> None:
    """Make a file of the same size that is no image; another size would be told as such."""
    path.write_bytes(b"no image".ljust(path.stat().st_size))


def test_every_row_is_of_its_image(scenes: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, scenes, features=TWO)
    assert compute(project, ShardItem(0, dict.fromkeys(TWO))) == {}
    ids = Workspace(project).images.read(shard_name(0)).column("image_id")
    colors, thumbnails = table(project, "color"), table(project, "thumbnail")
    assert colors.column("image_id").equals(ids)
    assert thumbnails.column("image_id").equals(ids)
    for row, jpeg in enumerate(thumbnails.column("jpeg").to_pylist()):
        decoded = decode(path_of(project, row).read_bytes(), 10**6)
        values = colors.slice(row, 1).drop_columns(["image_id", "error"]).to_pylist()[0]
        assert tuple(values.values()) == ColorConfig(kind="color").compute(decoded)
        assert min(decode(jpeg, 10**6).pixels_HW3.shape[:2]) == 32


def test_only_what_is_missing_is_made(scenes: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, scenes, features=TWO)
    compute(project, ShardItem(3, {"thumbnail": None}))
    assert Workspace(project).generations == {"color": {}, "thumbnail": {3: 0}}


def test_a_network_sees_what_its_preprocessing_says_and_others_share_it(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    net = networks.net(top_k=0, embedding=True, precision="float32")
    means = net["preprocess"] | {"mean": [0.1, 0.2, 0.3]}
    features = {
        "net": net,
        "large": net | {"preprocess": {"resize": 40, "crop": 36}},
        "shifted": net | {"preprocess": means},
    }
    project = ingested(tmp_path, scenes, features=features, labeling_functions=[])
    item = ShardItem(1, dict.fromkeys(features))
    step = featurize_step(Workspace(project))
    prepared = step.prepare(item, isolated=False)
    assert sorted(stack.shape for stack in prepared.stacks) == [(8, 32, 32, 3), (8, 36, 36, 3)]
    assert Workspace(project).generations["net"] == {}
    step.finish(item, prepared)
    tables = {name: table(project, name, 1).column("embedding").to_pylist() for name in features}
    extractor = Workspace(project).extractors["net"]
    (stack,) = [stack for stack in prepared.stacks if stack.shape[1] == 32]
    expected = extractor.load(step.weights_s3)(stack)["embedding"]
    assert np.allclose(np.array(tables["net"]), expected, rtol=2e-3, atol=1e-3)
    assert tables["net"] != tables["shifted"] != tables["large"]


def test_failed_images_are_rows_with_an_error_and_nulls(photos: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, photos, features=TWO)
    spoil(path_of(project, 2))
    path_of(project, 5).unlink()
    item = ShardItem(0, dict.fromkeys(TWO))
    assert compute(project, item) == {"not_an_image": 1, "missing": 1}
    for name, column in (("color", "mean_red"), ("thumbnail", "jpeg")):
        errors = table(project, name).column("error").to_pylist()
        assert errors == [None, None, "not_an_image", None, None, "missing", None, None]
        is_null = np.asarray(table(project, name).column(column).is_null())
        assert is_null.tolist() == [error is not None for error in errors]


def test_in_processes_of_their_own_images_give_the_same_rows(photos: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, photos, features=TWO)
    spoil(path_of(project, 2))
    workspace = Workspace(project)
    step = featurize_step(workspace)
    item = ShardItem(0, dict.fromkeys(TWO))
    step.finish(item, step.prepare(item, isolated=True))
    there = [table(project, name) for name in TWO]
    other = ingested(tmp_path / "photos", photos, features=TWO, workspace=str(tmp_path / "other"))
    compute(other, item)
    assert [table(other, name).column("error").to_pylist() for name in TWO] == [
        made.column("error").to_pylist() for made in there
    ]
    assert table(other, "color").equals(there[0])


def test_images_are_taken_up_again_in_a_new_generation(photos: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, photos, features=TWO)
    good = path_of(project, 2).read_bytes()
    spoil(path_of(project, 2))
    spoil(path_of(project, 5))
    compute(project, ShardItem(0, dict.fromkeys(TWO)))
    first = table(project, "color")
    item = ShardItem(0, dict.fromkeys(TWO, 0), RETRY)
    compute(project, item)  # nothing has changed
    assert Workspace(project).generations == {"color": {0: 0}, "thumbnail": {0: 0}}
    path_of(project, 2).write_bytes(good)
    assert compute(project, item) == {"not_an_image": 1}
    assert Workspace(project).generations == {"color": {0: 1}, "thumbnail": {0: 1}}
    second = table(project, "color", generation=1)
    errors = second.column("error").to_pylist()
    assert errors == [None] * 5 + ["not_an_image"] + [None] * 2
    others = [row for row in range(8) if row != 2]
    assert second.take(others).equals(first.take(others))
    assert second.column("mean_red")[2].as_py() is not None


def test_a_feature_is_of_the_bytes_that_were_ingested(photos: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, photos, features=TWO)
    changed = path_of(project, 2)
    changed.write_bytes(changed.read_bytes() + b"more")  # still an image
    (item,) = (i for i in Workspace(project).missing_shards() if i.key == 0)
    assert compute(project, item) == {"changed": 1}
    retry = frozenset({"changed"})
    (again,) = (i for i in Workspace(project).missing_shards(retry) if i.key == 0)
    assert compute(project, again) == {}


def test_kinds_that_are_not_asked_for_are_left_as_they_are(photos: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, photos)
    good = path_of(project, 2).read_bytes()
    spoil(path_of(project, 2))
    compute(project, ShardItem(0, {"color": None}))
    path_of(project, 2).write_bytes(good)
    assert compute(project, ShardItem(0, {"color": 0}, frozenset({"missing"}))) == {}
    assert Workspace(project).generations == {"color": {0: 0}}


@pytest.mark.parametrize(("num_broken", "is_refused"), [(3, False), (4, True)])
def test_too_large_a_share_of_errors_keeps_nothing_of_the_shard(
    photos: Path, tmp_path: Path, num_broken: int, is_refused: bool
) -> None:
    project = ingested(tmp_path, photos, engine={"max_error_share": 0.1})
    for row in range(num_broken):
        spoil(path_of(project, row))
    item = ShardItem(0, {"color": None})
    if not is_refused:  # a few failures never stop a job
        assert compute(project, item) == {"not_an_image": 3}
        return
    told = r"shard 0: 4 of 8 images failed \(not_an_image 4\), more than .* 0\.1 allows"
    with pytest.raises(TooManyErrors, match=told):
        compute(project, item)
    assert Workspace(project).generations == {"color": {}}


def test_images_that_end_or_hold_their_decoder_are_errors_at_once_and_the_worker_lives(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "features" / "attacks")
    engine = {"max_pixels": 2_000_003, "decode_timeout_s": 2.0}  # of no other process
    project = ingested(tmp_path, photos, engine=engine)
    for row, deed in ((1, "segfault"), (4, "endless"), (6, "vast")):
        path = path_of(project, row)
        path.write_bytes(f"DEED {deed}".encode().ljust(path.stat().st_size))
    step = featurize_step(Workspace(project))
    prepared = step.prepare(ShardItem(0, {"color": None}), isolated=False)
    expected = [None, "crashed", None, None, "timed_out", None, "too_large", None]
    assert list(prepared.errors) == expected
    assert prepared.weakness == "" or sys.platform != "linux"


def test_that_there_was_no_sandbox_is_noted(photos: Path, tmp_path: Path) -> None:
    item = ShardItem(0, {"color": None})
    for sandbox, note in (
        ("off", "images are decoded without a sandbox: engine.sandbox is off"),
        ("auto", ""),
    ):
        folder = tmp_path / sandbox
        folder.mkdir()
        project = ingested(folder, photos, engine={"sandbox": sandbox}, workspace=str(folder))
        step = featurize_step(Workspace(project))
        assert step.finish(item, step.prepare(item, isolated=False)).note == note


def test_a_feature_that_kills_its_process_is_found_out_image_by_image(
    scenes: Path, tmp_path: Path
) -> None:
    step = featurize_step(Workspace(ingested(tmp_path, scenes)))
    kills = step.preparer((("kills", bad_kinds.KillsConfig(kind="kills")),), ())
    uris = [str(path) for path in sorted(scenes.glob("*/*.jpg"))[:2]]
    prepared = step.prepare_all(kills, uris, isolated=True)
    assert [image.error for image in prepared] == ["crashed", "crashed"]


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            bad_kinds.FailsConfig(kind="fails"),
            r"^image '\w+/\w+\.jpg': feature color raised ZeroDivisionError: division by zero$",
        ),
        (
            bad_kinds.MiscountsConfig(kind="miscounts"),
            "^feature color computed 2 values of an image for its columns width$",
        ),
        (
            bad_kinds.MistypesConfig(kind="mistypes"),
            "^feature color: what it gives does not fit its columns: ArrowInvalid: .*wide",
        ),
    ],
    ids=["fails", "miscounts", "mistypes"],
)
def test_a_feature_whose_code_is_wrong_stops_the_job_in_a_sentence(
    scenes: Path, tmp_path: Path, settings: ImageFeatureConfig, told: str, isolated: bool
) -> None:
    project = ingested(tmp_path, scenes)
    step = featurize_step(Workspace(project))
    (extractor,) = step.extractors
    step = replace(step, extractors=(replace(extractor, settings=settings),))
    with pytest.raises(FeatureError, match=told):
        step.prepare(ShardItem(0, {"color": None}), isolated=isolated)
    assert Workspace(project).generations == {"color": {}}


def test_a_network_that_fails_stops_the_job_in_a_sentence(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    net = networks.net(top_k=0, embedding=True, precision="float32")
    project = ingested(tmp_path, scenes, features={"net": net}, labeling_functions=[])
    step, item = featurize_step(Workspace(project)), ShardItem(0, {"net": None})
    prepared = step.prepare(item, isolated=False)
    narrow = replace(prepared, stacks=(prepared.stacks[0][..., :2],))
    with pytest.raises(FeatureError, match=r"^feature net raised RuntimeError: .*$"):
        step.finish(item, narrow)


def test_retrying_never_stops_for_errors(photos: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, photos, engine={"max_error_share": 1.0})
    for row in range(6):
        spoil(path_of(project, row))
    compute(project, ShardItem(0, {"color": None}))
    step = replace(featurize_step(Workspace(project)), max_error_share=0.1)
    item = ShardItem(0, {"color": 0}, RETRY)
    result = step.finish(item, step.prepare(item, isolated=False))
    assert result.errors == {"not_an_image": 6}


@pytest.mark.parametrize("isolated", [False, True])
def test_bytes_alive_are_bounded_however_many_images_are_fetched_ahead(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, isolated: bool
) -> None:
    """Photos of 100 kB, room for 250 kB: nobody fetches 65 of them ahead, and all are prepared."""
    size, most = 100_000, 0
    for number in range(40):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / f"photos/{number}.jpg").write_bytes(bytes(size))
    step = featurize_step(Workspace(ingested(tmp_path, scenes)))
    step = replace(step, max_fetched_bytes=250_000)
    alive: list[Room] = []

    class Watched(Room):
        def __init__(self, num_bytes: int) -> None:
            super().__init__(num_bytes)
            alive.append(self)

    class Slow(ImagePreparer):
        def all(self, fetched: Iterable[bytes | str]) -> Iterator[PreparedImage]:
            nonlocal most
            for _ in fetched:
                time.sleep(0.005)  # others fetch ahead
                most = max(most, alive[-1].used)
                yield PreparedImage("missing")

    def each(prepare: Slow, fetched: Iterable[bytes | str], **_: object) -> list[PreparedImage]:
        return list(prepare.all(fetched))

    monkeypatch.setattr(step_module, "Room", Watched)
    monkeypatch.setattr(step_module.isolation, "each", each)
    slow = Slow((), (), step.decoder)
    uris = [f"{tmp_path}/photos/{number}.jpg" for number in range(40)]
    assert len(step.prepare_all(slow, uris, isolated=isolated)) == 40
    assert size <= most <= 250_000 + size
    assert alive[-1].used == 0


def test_an_image_that_alone_exceeds_the_room_is_prepared(scenes: Path, tmp_path: Path) -> None:
    project = ingested(tmp_path, scenes, engine={"max_fetched_bytes": 1})
    assert compute(project, ShardItem(0, {"color": None})) == {}


def test_what_may_not_be_fetched_is_told_where_it_stops_the_job(
    scenes: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(
        "uri\n" + "\n".join(f"http://10.0.0.{n}/a" for n in range(8))
    )
    images = {"source": "table", "path": str(tmp_path / "list.csv"), "shard_size": 8}
    project = ingested(tmp_path, scenes, images=images, labeling_functions=[])
    told = r"\(denied 8\).*; such as denied: http://10\.0\.0\.\d/a: its address .* images\.allow$"
    with pytest.raises(TooManyErrors, match=told):
        compute(project, ShardItem(0, {"color": None}))
    images["allow"] = [f"{tmp_path}/other"]
    with pytest.raises(
        SourceError, match=r"in row 0 \(from 0\): it does not lie below what images"
    ):
        ingested(tmp_path / "again", scenes, images=images, labeling_functions=[])


def test_an_image_of_too_many_bytes_is_a_row(scenes: Path, tmp_path: Path) -> None:
    engine = {"max_image_bytes": 100, "max_error_share": 1.0}
    project = ingested(tmp_path, scenes, engine=engine)
    assert compute(project, ShardItem(0, {"color": None})) == {"too_large": 8}
