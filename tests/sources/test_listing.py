"""What a source lists is refused, where it cannot be, by its first wrong row."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.errors import SourceError
from wslabel.sources.listing import LISTING, check, class_of


def listing(*rows: dict[str, Any]) -> pa.Table:
    good = {"image_id": "a", "uri": "/a", "split": None, "truth": None}
    return pa.Table.from_pylist([good | row for row in rows], schema=LISTING)


class TestCheck:
    def test_a_good_listing_comes_back(self) -> None:
        good = listing({}, {"image_id": "b", "split": "val", "truth": "sea"})
        assert check(good, "t.csv") is good

    def test_an_empty_listing_is_refused(self) -> None:
        with pytest.raises(SourceError, match=r"t\.csv: no image found"):
            check(LISTING.empty_table(), "t.csv")

    def test_metadata_may_be_missing(self) -> None:
        good = listing({}).append_column("year", pa.nulls(1, pa.int64()))
        assert check(good, "t.csv") is good

    @pytest.mark.parametrize("column", ["image_id", "uri"])
    def test_a_missing_value_is_refused_by_its_row(self, column: str) -> None:
        wrong = listing({}, {"image_id": "b"}, {"image_id": "c"} | {column: None})
        with pytest.raises(SourceError, match=rf"^t\.csv: row 2 \(from 0\) has no {column}$"):
            check(wrong, "t.csv")

    def test_an_id_twice_is_refused_by_name(self) -> None:
        wrong = listing({}, {"image_id": "b"}, {"image_id": "b"}, {})
        with pytest.raises(SourceError, match=r"^t\.csv: image_id '[ab]' stands more than once"):
            check(wrong, "t.csv")

    def test_chunks_are_seen_as_one(self) -> None:
        wrong = pa.concat_tables([listing({}), listing({})])
        assert wrong.column("image_id").num_chunks == 2
        with pytest.raises(SourceError, match="image_id 'a' stands more than once"):
            check(wrong, "t.csv")

    @pytest.mark.parametrize("split", ["", "training", "Train"])
    def test_a_split_that_is_none_is_refused(self, split: str) -> None:
        wrong = listing({"split": "train"}, {"image_id": "b", "split": split})
        with pytest.raises(SourceError, match=f"split '{split}' is none of train, val, test"):
            check(wrong, "t.csv")

    @given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6))
    def test_ids_pass_if_and_only_if_unique(self, ids: list[str]) -> None:
        given_ = listing(*({"image_id": i} for i in ids))
        if len(set(ids)) == len(ids):
            assert check(given_, "t").num_rows == len(ids)
        else:
            with pytest.raises(SourceError, match="more than once"):
                check(given_, "t")


def test_classes_are_found_by_the_sources_own_names() -> None:
    classes = class_of({"sea": ["coast", "beach"], "jungle": "forest"})
    assert classes == {"coast": "sea", "beach": "sea", "forest": "jungle"}
    assert class_of({}) == {}
