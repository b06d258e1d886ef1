from __future__ import annotations

import numpy as np
import pytest

from crosstrait.experiments.resolve import resolve_training
from crosstrait.models.registry import config_class, model_names
from crosstrait.models.search_space import Choice, Range, Real, Whole
from crosstrait.training.config import TrainConfig


def drawn(values: Range, rng: np.random.Generator) -> object:
    """One of the ends of a range, or something inside."""
    if isinstance(values, Choice):
        return values.values[rng.integers(len(values.values))]
    inside = rng.uniform(values.low, values.high)
    value = [values.low, values.high, inside][rng.integers(3)]
    return round(value) if isinstance(values, Whole) else value


@pytest.mark.parametrize("name", model_names())
def test_whatever_a_search_draws_is_a_model_that_can_be_built(name: str) -> None:
    config = config_class(name)()
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = {key: drawn(space, rng) for key, space in config.search_space.items()}
        train = {k.removeprefix("train."): v for k, v in values.items() if k.startswith("train.")}
        own = {k: v for k, v in values.items() if not k.startswith("train.")}
        tried = type(config).parse({**config.model_dump(), **own}, where=name)
        resolved = resolve_training(config).model_dump()
        assert TrainConfig.parse({**resolved, **train}, where=name)
        assert not train or config.network, "an estimator reads no training setting"
    tried.build(n_loci=4, n_traits=1)


@pytest.mark.parametrize("name", model_names())
def test_every_network_has_a_search_space(name: str) -> None:
    config = config_class(name)()
    assert config.search_space or not config.network


def test_a_value_is_in_a_range_or_not() -> None:
    assert 3 in Whole(low=3, high=5)
    assert 2.5 not in Whole(low=2, high=5)
    assert 0.5 in Real(low=0.5, high=1.0)
    assert 1.1 not in Real(low=0.5, high=1.0)
    assert "b" not in Choice(("a", 1))
