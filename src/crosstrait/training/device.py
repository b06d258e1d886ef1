"""Where a network trains, and in which precision."""

from __future__ import annotations

import torch

from crosstrait.errors import SettingsError
from crosstrait.training.config import TrainConfig


def choose_device(config: TrainConfig) -> torch.device:
    """Return the device that ``config`` asks for.

    Raises
    ------
    SettingsError
        If it asks for a GPU and there is none, or for more GPUs than there are.
    """
    if config.device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        if (there := torch.cuda.device_count()) < config.devices:
            raise SettingsError(
                f"devices = {config.devices}: torch finds {there} GPU{'s' * (there > 1)} here; set "
                f"devices = {there}, ask for a machine with more, or set device = 'cpu'"
            )
        return torch.device("cuda", torch.cuda.current_device())
    if config.device == "cuda":
        raise SettingsError(
            "device = 'cuda': torch finds no GPU here; use device = 'auto' or 'cpu', or install "
            "a torch build for your GPU"
        )
    return torch.device("cpu")


def uses_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Return whether forward and backward passes run in bf16 mixed precision.

    Raises
    ------
    SettingsError
        If ``config`` asks for bf16 on a GPU without it.
    """
    if config.precision == "32":
        return False
    if device.type == "cpu":
        return config.precision == "bf16"
    able = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if config.precision == "bf16" and not able:
        raise SettingsError(
            f"precision = 'bf16': {torch.cuda.get_device_name(device)} has no bf16 arithmetic; "
            f"use precision = '32' or 'auto'"
        )
    return able
