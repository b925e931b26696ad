"""Weak supervision for millions of images: labeling functions, a label model, training, on Ray.

>>> import wslabel
>>> project = wslabel.load("configs/demo.yaml")  # doctest: +SKIP
>>> wslabel.run(project, until="label")  # doctest: +SKIP
"""

from __future__ import annotations

# Nothing is imported here but by those who need it: with `python -m wslabel` the current folder
# comes first until `__main__` has put it away, and what lies there is not to be run.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wslabel.api import (
        Project,
        StageResult,
        Trial,
        Workspace,
        analyze,
        explain,
        export_labels,
        load,
        next_images,
        open_page,
        read_table,
        register,
        run,
        run_stage,
        try_function,
    )

__all__ = [
    "Project",
    "StageResult",
    "Trial",
    "Workspace",
    "analyze",
    "explain",
    "export_labels",
    "load",
    "next_images",
    "open_page",
    "read_table",
    "register",
    "run",
    "run_stage",
    "try_function",
]


def __getattr__(name: str) -> Any:
    """Load the API when it is first asked for: workers import much less of wslabel."""
    if name not in __all__:
        raise AttributeError(f"module 'wslabel' has no attribute '{name}'")
    from wslabel import api  # noqa: PLC0415 - the lazy import of this package

    return getattr(api, name)


def __dir__() -> list[str]:
    """List the API."""
    return __all__
