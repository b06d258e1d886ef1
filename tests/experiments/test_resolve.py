from __future__ import annotations

import pytest
import torch

from crosstrait.errors import SettingsError
from crosstrait.experiments.resolve import is_network, resolve_training
from crosstrait.models.registry import config_class


@pytest.mark.parametrize(
    ("name", "network"),
    [("ridge", False), ("rijal", True), ("canonical", True), ("transformer", True)],
)
def test_networks_and_estimators_are_told_apart(name: str, network: bool) -> None:
    before = torch.get_rng_state()
    assert is_network(config_class(name)()) is network
    assert torch.equal(torch.get_rng_state(), before)


def test_later_overrides_win_over_the_defaults_of_the_model() -> None:
    config = config_class("canonical")()
    train = resolve_training(config, {"max_epochs": 5, "batch_size": 8}, {"max_epochs": 2})
    assert (train.max_epochs, train.batch_size, train.learning_rate) == (2, 8, 1e-3)


def test_settings_that_do_not_go_together_are_refused_after_resolving() -> None:
    with pytest.raises(SettingsError, match="weight_decay needs optimizer = 'adamw'"):
        resolve_training(config_class("rijal")(), {"weight_decay": 0.1})
