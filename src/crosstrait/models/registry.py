"""The models by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from crosstrait.errors import SettingsError, unknown
from crosstrait.models.base import ModelConfig

# Modules are imported when their model is asked for, so that a heavy library costs only those
# who use it.
_CONFIGS: dict[str, tuple[str, str]] = {
    "ridge": ("crosstrait.models.ridge", "RidgeConfig"),
    "multi_gblup": ("crosstrait.models.multi_gblup", "MultiGblupConfig"),
    "lasso": ("crosstrait.models.lasso", "LassoConfig"),
    "gp": ("crosstrait.models.gp", "GpConfig"),
    "trees": ("crosstrait.models.trees", "TreesConfig"),
    "residual": ("crosstrait.models.residual", "ResidualConfig"),
    "sparse_attention": ("crosstrait.models.sparse_attention", "SparseAttentionConfig"),
    "stack": ("crosstrait.models.stack", "StackConfig"),
    "rijal": ("crosstrait.models.rijal", "RijalConfig"),
    "canonical": ("crosstrait.models.canonical", "CanonicalConfig"),
    "rijal_multienv": ("crosstrait.models.rijal_multienv", "RijalMultienvConfig"),
    "transformer": ("crosstrait.models.transformer", "TransformerConfig"),
}

# What the same models are called elsewhere.
_ELSEWHERE = {
    "gblup": "ridge",
    "blup": "ridge",
    "rrblup": "ridge",
    "mtgblup": "multi_gblup",
    "lightgbm": "trees",
    "xgboost": "trees",
    "gradient_boosting": "trees",
    "gaussian_process": "gp",
    "gpr": "gp",
    "rkhs": "gp",
    "elastic_net": "lasso",
}


def model_names() -> list[str]:
    """Return the names that ``ct.fit`` and experiment files know."""
    return list(_CONFIGS)


def config_class(name: str) -> type[ModelConfig]:
    """Return the config class registered under ``name``.

    Raises
    ------
    SettingsError
        If no model has that name; the message offers the nearest.
    """
    if name not in _CONFIGS:
        ours = _ELSEWHERE.get(name.lower().replace("-", ""))
        if ours is not None:
            raise SettingsError(f"unknown model {name!r}; {ours!r} is the nearest here")
        raise SettingsError(unknown("model", name, _CONFIGS))
    module, attribute = _CONFIGS[name]
    found: type[ModelConfig] = getattr(importlib.import_module(module), attribute)
    return found


def parse_model(values: Mapping[str, Any], *, where: str = "model") -> ModelConfig:
    """Return the config that ``values`` (with its ``type``) describes."""
    if "type" not in values:
        raise SettingsError(f"{where}: setting 'type' is required; one of {', '.join(_CONFIGS)}")
    return config_class(str(values["type"])).parse(values, where=where)
