"""A constant is made once; whoever may only read is told that it is not there."""

from pathlib import Path

import pytest

from wslabel.errors import StorageError
from wslabel.storage.location import Location
from wslabel.workspace.constants import Constants, NotMade


@pytest.fixture
def constants(tmp_path: Path) -> Constants:
    return Constants(Location(str(tmp_path)))


def test_a_constant_is_made_once_and_kept_as_json(constants: Constants, tmp_path: Path) -> None:
    assert constants.get("prompt-1") is None
    vectors = iter([[0.1, 1e-30], [9.0]])
    assert constants.get_or_make("prompt-1", lambda: next(vectors)) == [0.1, 1e-30]
    assert constants.get_or_make("prompt-1", lambda: next(vectors)) == [0.1, 1e-30]
    assert (tmp_path / "constants" / "prompt-1.json").read_text() == "[0.1, 1e-30]"


def test_the_first_writer_is_right(constants: Constants) -> None:
    assert constants.keep("precision-1", "float32") == "float32"
    assert constants.keep("precision-1", "bfloat16") == "float32"


def test_what_is_forgotten_is_made_anew(constants: Constants) -> None:
    constants.keep("quantile-1", 0.2)
    constants.forget("quantile-1")
    assert constants.get("quantile-1") is None
    assert constants.get_or_make("quantile-1", lambda: 0.3) == 0.3


def test_whoever_may_only_read_makes_nothing(constants: Constants, tmp_path: Path) -> None:
    constants.keep("card-1", {})
    reader = Constants(Location(str(tmp_path)), read_only=True)
    assert reader.get_or_make("card-1", lambda: pytest.fail("it is there")) == {}
    with pytest.raises(NotMade, match="card-2"):
        reader.get_or_make("card-2", lambda: pytest.fail("it may not be made"))
    assert constants.get("card-2") is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[" * 10_000, b"[]", b'{"cosine": "\\u001b"}']
)
def test_what_others_wrote_is_refused(constants: Constants, tmp_path: Path, data: bytes) -> None:
    constants.keep("quantile-1", {"cosine": 0.5})
    (tmp_path / "constants" / "quantile-1.json").write_bytes(data)
    says = r"constants/quantile-1\.json: is not as wslabel writes it"
    with pytest.raises(StorageError, match=says) as caught:
        constants.get_or_make("quantile-1", dict, lambda kept: float(kept["cosine"]))
    assert str(caught.value).isprintable()
