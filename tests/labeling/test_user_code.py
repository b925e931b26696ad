"""The user's own code is known by its content, with all of theirs that it imports."""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import ray.cloudpickle

from wslabel.engine.tasks import ship
from wslabel.errors import ConfigError
from wslabel.labeling import user_code
from wslabel.labeling.user_code import find


@dataclass(frozen=True)
class Loaded:
    """A function, and by what it is known."""

    function: Callable[..., Any]
    modules: tuple[ModuleType, ...]
    digest: str


def load(name: str, path: str) -> Loaded:
    source = find(name, path)
    loaded = user_code.load(source)
    return Loaded(loaded.function, loaded.modules, source.digest)


SOURCE = "def vote_sea(columns):\n    return columns\n\ndef _hidden(columns):\n    return columns\n"


def test_a_function_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my_lfs_for_loading.py"
    path.write_text(SOURCE)
    loaded = load("lf", f"{path}:vote_sea")
    assert loaded.function(3) == 3
    assert [module.vote_sea for module in loaded.modules] == [loaded.function]


def test_a_function_is_loaded_from_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_lf_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    loaded = load("lf", "my_lf_module:vote_sea")
    assert loaded.function is sys.modules["my_lf_module"].vote_sea
    assert [module.__name__ for module in loaded.modules] == ["my_lf_module"]


def test_a_missing_function_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "lfs.py"
    path.write_text(SOURCE)
    with pytest.raises(
        ConfigError, match=r"lf: .*lfs\.py has no function 'vote_see'; did you mean"
    ):
        load("lf", f"{path}:vote_see")


@pytest.mark.parametrize(
    ("source", "reason"), [("import nowhere_at_all", "ModuleNotFoundError"), ("1 +", "SyntaxError")]
)
def test_a_module_that_cannot_be_imported_says_why(
    tmp_path: Path, source: str, reason: str
) -> None:
    path = tmp_path / "broken_lfs.py"
    path.write_text(source)
    with pytest.raises(ConfigError, match=rf"labeling function lf: cannot import .*{reason}"):
        load("lf", f"{path}:vote")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot import"):
        load("lf", f"{tmp_path}/nothing.py:vote")


def test_a_file_named_like_a_module_of_pythons_does_not_stand_in_for_it(tmp_path: Path) -> None:
    path = tmp_path / "statistics.py"
    path.write_text("import math\n\ndef vote(columns):\n    return math.ceil(0.5)\n")
    loaded = load("lf", f"{path}:vote")
    assert loaded.function({}) == 1
    (module,) = loaded.modules
    assert module.__name__.startswith("wslabel_user_statistics_")
    assert statistics.mean([1, 3]) == 2
    assert sys.modules["statistics"] is statistics


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for folder, vote in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(f"def vote(columns):\n    return {vote}\n")
    votes = [load("lf", f"{tmp_path / folder / 'own.py'}:vote").function({}) for folder in "ab"]
    assert votes == [0, 1]


def write(folder: Path, **files: str) -> Path:
    """Write modules, `a__b` to the file b in the folder a; give the one called lfs."""
    for name, source in files.items():
        path = folder.joinpath(*name.split("__", 1)).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return folder / "lfs.py"


IMPORTS = {
    "a module beside it": ("import beside_{0}\n", "beside_{0}"),
    "a function of it": ("from beside_{0} import f\n", "beside_{0}"),
    "within a function": ("def vote(c):\n    import beside_{0}\n", "beside_{0}"),
    "of a package": ("from pack_{0} import inner\n", "pack_{0}__inner"),
    "in the package": ("import pack_{0}.inner\n", "pack_{0}____init__"),
    "by another": ("import first_{0}\n", "beside_{0}"),
}


@pytest.mark.parametrize("number", range(len(IMPORTS)), ids=list(IMPORTS))
def test_a_change_in_what_is_imported_changes_the_digest(tmp_path: Path, number: int) -> None:
    source, changing = (text.format(number) for text in list(IMPORTS.values())[number])
    modules = {
        f"beside_{number}": "f = 1\n",
        f"pack_{number}____init__": "g = 1\n",
        f"pack_{number}__inner": "h = 1\n",
        f"first_{number}": f"from beside_{number} import f\n",
    }
    path = write(tmp_path, lfs=f"{source}\ndef vote(c): return 0\n", **modules)
    before = load("lf", f"{path}:vote")
    assert load("lf", f"{path}:vote").digest == before.digest
    write(tmp_path, **{changing: modules[changing] + "x = 2\n"})
    assert load("lf", f"{path}:vote").digest != before.digest


def test_a_change_in_what_is_not_imported_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, lfs="import json\ndef vote(c): return 0\n", other="x = 1\n")
    before = load("lf", f"{path}:vote").digest
    write(tmp_path, other="x = 2\n")
    assert load("lf", f"{path}:vote").digest == before


def test_what_is_installed_counts_by_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages may lie in any environment that this one looks into."""
    packages = tmp_path / "env" / "site-packages"
    packages.mkdir(parents=True)
    monkeypatch.syspath_prepend(packages)
    write(packages, installed_there="x = 1\n")
    path = write(tmp_path, lfs="import installed_there\ndef vote(c): return 0\n")
    loaded = load("lf", f"{path}:vote")
    assert len(loaded.modules) == 1
    write(packages, installed_there="x = 2\n")
    assert load("lf", f"{path}:vote").digest == loaded.digest


def test_a_digest_is_the_same_wherever_the_files_are(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        path = write(
            tmp_path / name, lfs="import near_by\ndef vote(c): return 0\n", near_by="x = 1\n"
        )
        digests.add(load("lf", f"{path}:vote").digest)
    assert len(digests) == 1


def test_what_was_changed_is_imported_anew(tmp_path: Path) -> None:
    source = "import threshold_of_mine\ndef vote(c): return threshold_of_mine.value\n"
    path = write(tmp_path, lfs=source, threshold_of_mine="value = 1\n")
    assert load("lf", f"{path}:vote").function({}) == 1
    write(tmp_path, threshold_of_mine="value = 20\n")
    assert load("lf", f"{path}:vote").function({}) == 20


def test_it_travels_with_what_it_imports_to_where_neither_is(tmp_path: Path) -> None:
    source = "import helper_that_travels\ndef vote(c): return helper_that_travels.f()\n"
    path = write(tmp_path, lfs=source, helper_that_travels="def f(): return 7\n")
    loaded = load("lf", f"{path}:vote")
    for module in loaded.modules:
        ship(module)
    data = ray.cloudpickle.dumps(loaded.function)
    for module in loaded.modules:
        del sys.modules[module.__name__]
    assert ray.cloudpickle.loads(data)({}) == 7


def test_files_with_errors_are_named_in_the_message(tmp_path: Path) -> None:
    path = write(tmp_path, lfs="import broken_beside\n", broken_beside="1 +\n")
    with pytest.raises(ConfigError, match=r"cannot import .*SyntaxError"):
        load("lf", f"{path}:vote")


def test_nothing_is_run_to_know_a_function_by_its_content(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    path = write(
        tmp_path, lfs=f"import beside_trap\n{trap}def vote(c): return 0\n", beside_trap=trap
    )
    source = find("lf", f"{path}:vote")
    assert not (tmp_path / "ran").exists()
    assert user_code.load(source).function({}) == 0
    assert (tmp_path / "ran").exists()


def test_what_is_changed_before_it_is_run_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, lfs="def vote(c): return 0\n")
    source = find("lf", f"{path}:vote")
    path.write_text("def vote(c): return 1\n")
    with pytest.raises(ConfigError, match=r"lf: .*lfs\.py was changed just now; run again"):
        user_code.load(source)
