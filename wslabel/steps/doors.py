"""Find the module of a kind by its name: `classifier` is in `features/classifier.py`.

Modules are looked up when a config asks for their kind and not before, because torch and its
model libraries take seconds to import and most commands never need them.
"""

import importlib
from types import ModuleType


def feature(kind: str) -> ModuleType:
    """Import the extractor of a feature kind."""
    return importlib.import_module(f"wslabel.features.{kind}")


def room(name: str) -> ModuleType:
    """Import a stage's module that stands on a heavy library, such as `training.fit`."""
    return importlib.import_module(f"wslabel.{name}")
