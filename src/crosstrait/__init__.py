"""From genotype files and many traits to an honest, fast prediction of every trait."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Everything is imported on first use, so that `import crosstrait` stays light.
_LAZY = {
    "CrosstraitRegressor": "crosstrait.training.regressor",
    "fit": "crosstrait.training.fit",
    "load_model": "crosstrait.training.load",
    "load_panel": "crosstrait.panel.sources",
    "run_trainings": "crosstrait.experiments.trainings",
}
_MODULES = (
    "evaluation",
    "experiments",
    "genotypes",
    "models",
    "panel",
    "report",
    "split",
    "training",
)

__all__ = ["__version__", *_LAZY, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"crosstrait.{name}")
    raise AttributeError(f"module 'crosstrait' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
