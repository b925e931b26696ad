"""Packages that only some users need: extras of wslabel, refused before any work where absent."""

import importlib.util

EXTRAS = {
    "az": ("adlfs",),
    "gs": ("gcsfs",),
    "huggingface": ("datasets",),
    "mlflow": ("mlflow",),
    "onnx": ("onnx", "onnxscript"),
    "optuna": ("optuna",),
    "polars": ("polars",),
    "wandb": ("wandb",),
}
"""Extras, each with the packages that it brings."""


def absence(extra: str) -> str | None:
    """Say in one sentence that an extra is not installed; None where it is."""
    for package in EXTRAS[extra]:
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed; pip install 'wslabel[{extra}]'"
    return None
