"""An error is one sentence that steers no terminal, and travels between processes as it is."""

import pickle

import pytest

from tests.hidden import EVIL, hidden
from wslabel.errors import ConfigError, SourceError, StorageError, WorkLeft, WslabelError, nearest
from wslabel.features.decode import Undecodable


@pytest.mark.parametrize("kind", [SourceError, StorageError, WorkLeft, WslabelError])
def test_an_error_is_one_line_without_anything_hidden(kind: type[WslabelError]) -> None:
    error = kind(f"image '{EVIL}\n': no")
    assert not hidden(str(error))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_project_file_may_be_wrong_in_several_ways() -> None:
    error = ConfigError(f"a: {EVIL}\nb")
    assert hidden(str(error)) == {"\n"}
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_errors_of_two_parts_keep_them() -> None:
    error = pickle.loads(pickle.dumps(Undecodable("not_an_image", EVIL)))
    assert error.kind == "not_an_image"
    assert not hidden(str(error))


def test_many_choices_are_counted() -> None:
    assert nearest("x", [f"name {index:02d}" for index in range(40)]).endswith("and 10 more")
