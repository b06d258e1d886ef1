"""From genotype files and many traits to an honest, fast prediction of every trait."""

from __future__ import annotations

from crosstrait.lazy import lazily

__version__ = "0.1.0"

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
_LAZY = {
    "CrosstraitRegressor": "crosstrait.training.regressor",
    "fit": "crosstrait.training.fit",
    "load_model": "crosstrait.training.load",
    "load_panel": "crosstrait.panel.sources",
    "run_trainings": "crosstrait.experiments.trainings",
    **{name: f"crosstrait.{name}" for name in _MODULES},
}

__all__ = ["__version__", *_LAZY]
__getattr__ = lazily(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
