"""From a model's defaults and overrides to the training settings that it will read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosstrait.models.base import ModelConfig
from crosstrait.training.config import TrainConfig


def wants_gpu(config: ModelConfig, train: TrainConfig) -> bool:
    """Whether it is a network that may be trained on a GPU."""
    return train.device != "cpu" and config.network


def n_gpus(config: ModelConfig, train: TrainConfig) -> int:
    """Return how many GPUs a run may be trained on."""
    return train.devices if wants_gpu(config, train) else 0


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
    if not config.network:
        merged = {key: value for key, value in merged.items() if key in ("protocol", "scope")}
    return TrainConfig.parse(merged, where=where)
