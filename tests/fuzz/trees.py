"""Damage to nested values, as YAML and JSON hold: the text stays valid, its meaning does not."""

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**40, 0.5, 1e308, float("nan"), float("inf")),
    *("", " ", "\0", "\n", "\x1b[2J", "\u202e", "\u2028", "/", "..", "~", "a" * 300, "3", "null"),
    *("s3://", "s3://bucket/key", "http://[", "file:///dev/zero", "/dev/zero", "{x}", "[/x]"),
    *([], {}, [[]], [None], {"": None}, {"name": 1}, [1, 2, 3]),
)


def damaged(tree: Any, rng: random.Random, words: Sequence[str] = ()) -> Any:
    """Change one or a few places of a tree."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = list(_places(tree))
        if not places:
            return rng.choice(ODD)
        inside, key = rng.choice(places)
        _change(inside, key, rng, places, words)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(tree, dict):
        keys: list[Any] = list(tree)
    elif isinstance(tree, list):
        keys = list(range(len(tree)))
    else:
        return
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _change(
    inside: Any, key: Any, rng: random.Random, places: list[tuple[Any, Any]], words: Sequence[str]
) -> None:
    other, its_key = rng.choice(places)
    choice = rng.randrange(7)
    if choice == 0:
        del inside[key]
    elif choice == 1:
        inside[key] = copy.deepcopy(other[its_key])
    elif choice == 2 and words:
        inside[key] = rng.choice(words)
    elif choice == 3 and isinstance(inside, dict):
        name = rng.choice((*words, "", "name", "kind", "\x1b", "a.b", 1, None))
        inside[name] = inside.pop(key) if rng.random() < 0.5 else rng.choice(ODD)
    elif choice == 4:
        inside[key] = [inside[key]] if rng.random() < 0.5 else {"name": inside[key]}
    elif choice == 5 and isinstance(inside, list):
        inside.insert(key, copy.deepcopy(inside[key]))
    else:
        inside[key] = copy.deepcopy(rng.choice(ODD))
