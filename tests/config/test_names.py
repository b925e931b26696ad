"""What becomes a folder, a file or a column has a name that every system takes."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from tests.hidden import NAMES
from wslabel.config.names import LONGEST, column_name, folder_name, network_name
from wslabel.schema import RESERVED

CHECKS = (column_name, folder_name, network_name)
GOOD = "clip", "efficientnet_b0", "_x", "A1"


@pytest.mark.parametrize("check", CHECKS)
def test_words_are_names(check: object) -> None:
    assert [check(name) for name in GOOD] == list(GOOD)  # type: ignore[operator]


@given(NAMES | st.sampled_from(["..", "../../x", "/x", ".", "a/b", "a\\b", "-x", "con\n", ""]))
def test_what_is_a_name_is_one_folder_and_no_other_place(name: str) -> None:
    for check in CHECKS:
        try:
            assert check(name) == name
        except PydanticCustomError:
            continue
        path = PurePosixPath("features") / f"{name}-0123456789ab"
        assert path.parent == PurePosixPath("features")
        assert name.isascii()
        assert name.isprintable()
        assert not set(name) & set("/\\ :*?\"'<>|")
        assert len(path.name) < 255


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../../x", r"'../../x' cannot name a folder; .*, as in 'x'"),
        ("my clip", r"'my clip' cannot name a folder; .*, as in 'my_clip'"),
        ("-x", "as in 'x'"),
        ("\x1b[2J", r"'\\x1b\[2J' cannot name a folder; use letters, digits, .*, as in '2J'"),
        ("海", "cannot name a folder; use letters, digits, '_', '.' and '-'$"),
        ("x" * (LONGEST + 1), "too long for a name: 101 > 100"),
    ],
)
def test_another_is_refused_with_one_like_it(name: str, says: str) -> None:
    with pytest.raises(PydanticCustomError, match=says):
        folder_name(name)


def test_columns_of_ours_have_their_names_already() -> None:
    for name in RESERVED:
        with pytest.raises(PydanticCustomError, match="cannot name a column; there is one of ours"):
            column_name(name)
        assert network_name(name) == name
