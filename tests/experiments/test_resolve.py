from __future__ import annotations

import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.resolve import resolve_training
from crosstrait.models.registry import config_class


def test_later_overrides_win_over_the_defaults_of_the_model() -> None:
    config = config_class("canonical")()
    train = resolve_training(config, {"max_epochs": 5, "batch_size": 8}, {"max_epochs": 2})
    assert (train.max_epochs, train.batch_size, train.learning_rate) == (2, 8, 1e-3)


def test_settings_that_do_not_go_together_are_refused_after_resolving() -> None:
    with pytest.raises(SettingsError, match="weight_decay needs optimizer = 'adamw'"):
        resolve_training(config_class("rijal")(), {"weight_decay": 0.1})
