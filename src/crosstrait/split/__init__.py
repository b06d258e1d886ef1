"""Splits of samples, their manifests, and scaling learned on training samples."""

from crosstrait.split.cell_splits import cells, hide
from crosstrait.split.config import SplitConfig, draw
from crosstrait.split.manifest import Split, from_ids
from crosstrait.split.scaling import TraitScaler
from crosstrait.split.schemes import (
    from_file,
    group,
    k_fold,
    published,
    random,
)

__all__ = [
    "Split",
    "SplitConfig",
    "TraitScaler",
    "cells",
    "draw",
    "from_file",
    "from_ids",
    "group",
    "hide",
    "k_fold",
    "published",
    "random",
]
