"""The Python API says what the tables say, in the words of the libraries around it."""

import webbrowser
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from snorkel.labeling import LabelingFunction, LFAnalysis

import wslabel
from tests.conftest import LINEAR, Learnable
from wslabel.errors import ConfigError, SourceError, WorkLeft
from wslabel.schema import SPLITS


@pytest.fixture(scope="module")
def project(learnable: Learnable) -> wslabel.Project:
    return wslabel.load(learnable.write(name="api"))


def test_the_names_are_listed_once_and_sorted() -> None:
    assert wslabel.__all__ == sorted(wslabel.__all__) == dir(wslabel)
    for name in wslabel.__all__:
        assert getattr(wslabel, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'labell'"):
        wslabel.labell  # noqa: B018 - looks it up


def test_a_dict_is_what_the_file_of_it_is(learnable: Learnable) -> None:
    from_file = wslabel.load(learnable.write(name="same"))
    assert wslabel.load(learnable.config, folder=learnable.folder) == from_file
    with pytest.raises(ConfigError, match="unknown key 'clases'; did you mean 'classes'"):
        wslabel.load({"clases": []})


def test_a_run_gives_a_result_for_each_stage(
    project: wslabel.Project, capsys: pytest.CaptureFixture[str]
) -> None:
    results = wslabel.run(project, until="label")
    assert [result.stage for result in results] == ["ingest", "featurize", "vote", "label"]
    assert all(result.made == 0 for result in results)
    assert capsys.readouterr().out.count("there in") == 4
    wslabel.run(project, until="vote", progress=False)
    assert capsys.readouterr().out == ""
    assert wslabel.run_stage(project, "vote").total == 1


def test_a_table_comes_in_the_form_that_is_asked_for(project: wslabel.Project) -> None:
    votes = wslabel.read_table(project, "votes")
    assert isinstance(votes, pa.Table)
    assert votes.column_names == ["image_id", "mean", "pixel", "blue"]
    frame = wslabel.read_table(project, "votes", ["mean"], format="pandas")
    assert isinstance(frame, pd.DataFrame)
    assert frame["mean"].tolist() == votes.column("mean").to_pylist()
    other = wslabel.read_table(project, "votes", ["mean"], format="polars")
    assert isinstance(other, pl.DataFrame)
    assert other["mean"].to_list() == votes.column("mean").to_pylist()


@pytest.mark.filterwarnings("ignore:Input has data type int:FutureWarning")
@pytest.mark.parametrize("split", [None, *SPLITS])
def test_the_analysis_is_snorkels(project: wslabel.Project, split: str | None) -> None:
    images = wslabel.read_table(project, "images", format="pandas")
    votes = wslabel.read_table(project, "votes", format="pandas")[["mean", "pixel", "blue"]]
    truth = images["truth"].map(project.classes.index).to_numpy()
    chosen = np.ones(len(images), bool) if split is None else (images["split"] == split).to_numpy()
    functions = [LabelingFunction(name, len) for name in votes.columns]
    expected = LFAnalysis(votes.to_numpy(np.int64)[chosen], functions).lf_summary(truth[chosen])
    found = wslabel.analyze(project, split=split)
    assert found.columns.tolist() == expected.columns.tolist()
    assert found.index.tolist() == expected.index.tolist()
    assert found["Polarity"].tolist() == expected["Polarity"].tolist()
    numbers = [name for name in found.columns if name != "Polarity"]
    assert np.allclose(found[numbers].to_numpy(float), expected[numbers].to_numpy(float))


def test_a_wrong_word_is_told_with_the_nearest_right_one(
    project: wslabel.Project, learnable: Learnable
) -> None:
    with pytest.raises(ConfigError, match="there is no split 'tset'; did you mean 'test'"):
        wslabel.analyze(project, split="tset")
    with pytest.raises(ConfigError, match="there is no format 'arow'; did you mean 'arrow'"):
        wslabel.read_table(project, "votes", format="arow")  # type: ignore[call-overload]
    empty = wslabel.load(
        learnable.write(name="empty", labeling_functions=[], label_model={"kind": "majority"})
    )
    with pytest.raises(ConfigError, match="labeling_functions: is missing"):
        wslabel.analyze(empty)


def test_images_and_labels_are_explained_asked_about_and_exported(
    project: wslabel.Project, tmp_path: Path
) -> None:
    images = wslabel.next_images(project, {"kind": "entropy"}, count=5)
    assert images["score"].is_monotonic_decreasing
    assert images.columns.tolist() == ["image_id", "score", "label", "confidence"]
    why = wslabel.explain(project, images["image_id"][0])
    assert set(why["votes"]) == {"mean", "pixel", "blue"}
    with pytest.raises(SourceError, match="no image has the id 'nobody'"):
        wslabel.explain(project, "nobody")
    path = wslabel.export_labels(project, {"kind": "csv"}, folder=tmp_path)
    assert len(pd.read_csv(path)) == 60


def test_the_page_is_opened_where_it_is(
    learnable: Learnable, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    trained = wslabel.load(learnable.write(name="page", training=LINEAR | {"labels": "hard"}))
    with pytest.raises(WorkLeft, match="run the stage evaluate first"):
        wslabel.open_page(trained)
    wslabel.run(trained, progress=False)
    page = wslabel.open_page(trained)
    assert opened == [Path(page).as_uri()]
    assert wslabel.open_page(trained, browser=False) == page
    assert len(opened) == 1
