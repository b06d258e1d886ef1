"""Small networks and data to train on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crosstrait.models.members import Dropout, MemberNetwork
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.member import MemberTask

CPU = torch.device("cpu")
N_LOCI = 6


class Perceptron(MemberNetwork):
    """One hidden layer; small, curved and with dropout if asked for."""

    def __init__(self, n_traits: int, *, seed: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        generator = torch.Generator().manual_seed(seed)
        shapes = {"hidden": (N_LOCI, 5), "bias": (5,), "readout": (5, n_traits)}
        for name, shape in shapes.items():
            weight = torch.randn(shape, generator=generator) * 0.4
            self.register_parameter(name, nn.Parameter(weight))

    def members_forward(self, weights: Mapping[str, Tensor], X: Tensor, drop: Dropout) -> Tensor:
        units = torch.tanh(X @ weights["hidden"] + weights["bias"].unsqueeze(1))
        return drop(units) @ weights["readout"]


def cross(
    n: int = 70, *, n_validation: int = 30, n_traits: int = 3, missing: float = 0.2, seed: int = 0
) -> DeviceData:
    """Genotypes of a cross and traits with holes, in standardised units."""
    random = np.random.default_rng(seed)
    X = random.choice(np.array([-1, 1], dtype=np.float32), (n + n_validation, N_LOCI))
    Y = X @ random.normal(size=(N_LOCI, n_traits)) / np.sqrt(N_LOCI)
    Y += 0.3 * random.normal(size=Y.shape)
    Y[random.random(Y.shape) < missing] = np.nan
    return DeviceData.place(X[:n], Y[:n], X_validation=X[n:], Y_validation=Y[n:], device=CPU)


def replicate(seed: int, *, n_traits: int = 3, dropout: float = 0.0) -> MemberTask:
    """A network for all traits."""
    network = Perceptron(n_traits, seed=seed, dropout=dropout)
    return MemberTask(network=network, seed=seed, traits=tuple(range(n_traits)))


def single_trait(trait: int, *, seed: int = 0) -> MemberTask:
    """A network for one trait."""
    return MemberTask(
        network=Perceptron(1, seed=seed), seed=seed, traits=(trait,), name=f"trait_{trait}"
    )


def training(**changes: Any) -> TrainConfig:
    """A short training."""
    return TrainConfig(**({"max_epochs": 3, "batch_size": 16, "learning_rate": 0.02} | changes))


def weights(network: nn.Module) -> dict[str, np.ndarray]:
    """The parameters as arrays."""
    return {name: p.detach().numpy().copy() for name, p in network.named_parameters()}


def assert_same_weights(one: nn.Module, other: nn.Module, **tolerance: float) -> None:
    """Fail where two networks differ, to the last bit if no tolerance is given."""
    for name, value in weights(one).items():
        np.testing.assert_allclose(
            weights(other)[name], value, **({"rtol": 0, "atol": 0} | tolerance), err_msg=name
        )
