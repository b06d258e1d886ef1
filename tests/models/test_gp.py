"""The Gaussian process against its textbook formulas, and what it learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosstrait.models.base import ModelConfig
from crosstrait.models.gp import GpConfig
from crosstrait.models.registry import parse_model
from support.model_contract import ModelContract

Float = NDArray[np.float64]


class TestGp(ModelContract):
    minimum_r2_of_pairs = 0.85

    def config(self) -> ModelConfig:
        return GpConfig(steps=25)


def test_gp_is_registered() -> None:
    assert parse_model({"type": "gp"}) == GpConfig()
