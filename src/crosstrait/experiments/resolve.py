"""From a model's defaults and overrides to the training settings that it will read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.training.config import TrainConfig


@cache
def is_network(config: ModelConfig) -> bool:
    """Whether the model is trained by epochs, and not an estimator that fits itself."""
    with torch.random.fork_rng(devices=[]):
        return not isinstance(config.build(n_loci=2, n_traits=1), Estimator)


def resolve_training(
    config: ModelConfig, *overrides: Mapping[str, Any], where: str = "train"
) -> TrainConfig:
    """Return the model's training settings, later overrides winning.

    An estimator reads ``protocol`` and ``scope`` alone, so that nothing else of it changes a run.

    Raises
    ------
    SettingsError
        If a setting is unknown or unusable.
    """
    merged: dict[str, Any] = dict(config.train_defaults)
    for override in overrides:
        merged.update(override)
    if not is_network(config):
        merged = {key: value for key, value in merged.items() if key in ("protocol", "scope")}
    return TrainConfig.parse(merged, where=where)
