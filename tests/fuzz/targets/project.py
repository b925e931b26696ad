"""A project file: a project, or sentences that each name the file, the key, and what is valid."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz import trees
from tests.fuzz.refusals import scratch, see_that_it_is_clear
from tests.hostile.damage import damaged
from tests.projects import FILES, full
from wslabel.config.fingerprint import fingerprint
from wslabel.errors import ConfigError
from wslabel.project.loading import load

READS = ("yaml", "wslabel")

ROOT = Path(__file__).parents[3]
FOLDER = scratch()
PATH = FOLDER / "p.yaml"


def _words(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield str(key)
            yield from _words(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _words(value)
    elif isinstance(tree, str):
        yield tree


def _trees() -> list[Any]:
    found = [full()]
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        found += [tree] if "workspace" in tree else []
    return found


SPELLED = sorted({word for tree in _trees() for word in _words(tree) if len(word) < 60})
WORDS = (
    *(word.encode() for word in SPELLED),
    *(b"!!python/object:os.system", b"!!binary ", b"!!timestamp ", b"!!set ", b"<<: *a", b"&a "),
    *(b"*a", b"---\n", b"%YAML 1.1\n", b"? ", b"2001-13-41", b"1:60", b"0x", b".nan", b".inf"),
)

MAJORITY = {"kind": "majority"}
SOURCES: tuple[dict[str, Any], ...] = (
    {"source": "table", "path": "list.csv", "truth": "class", "metadata": ["title"]},
    {"source": "webdataset", "path": "a.tar", "truth": "cls", "extensions": [".jpg"]},
    {"source": "huggingface", "dataset": "user/name", "splits": {"train": None}},
    {"source": "openimages", "classes": {"sea": "Sea"}, "labels": {"train": "list.csv"}},
    {"source": "generated", "path": "photos", "count": 9},
)

for name in (*FILES, "list.csv", "a.tar", "my_votes.py"):
    (FOLDER / name).write_bytes(b"x")
for name in ("photos", "workspaces", "demo"):
    (FOLDER / name).mkdir(exist_ok=True)


def one_input(data: bytes) -> None:
    PATH.write_bytes(data)
    try:
        project = load(PATH)
    except ConfigError as error:
        see_that_it_is_clear(error)
        for line in str(error).split("\n"):
            assert line.startswith(f"{PATH}: "), line
        return
    # Whatever is taken can be named, and read again as it was.
    fingerprint(project)
    again = type(project).model_validate(project.model_dump(mode="json"))
    assert fingerprint(again) == fingerprint(project)


def seeds() -> Iterator[bytes]:
    """Give whole files, and short ones, which are read far faster: a section or function each."""
    whole = full()
    least = {key: whole[key] for key in ("workspace", "classes", "features")}
    least |= {"images": {"source": "folder", "path": "photos"}, "label_model": MAJORITY}
    for name in sorted(whole.keys() - {"labeling_functions"}):
        yield yaml.safe_dump(least | {name: whole[name]}, sort_keys=False).encode()
    for function in whole["labeling_functions"]:
        yield yaml.safe_dump(least | {"labeling_functions": [function]}).encode()
    for source in SOURCES:
        yield yaml.safe_dump(least | {"images": source}, default_flow_style=True).encode()
    for tree in _trees():
        yield yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode()
    yield (ROOT / "configs" / "demo.yaml").read_bytes()


def mutated(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return damaged(data, rng)
    spoiled = trees.damaged(yaml.load(data.decode(), yaml.CSafeLoader), rng, SPELLED)
    return yaml.dump(spoiled, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode()
