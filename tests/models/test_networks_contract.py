"""Every network meets the contract of a model, through the training loop that users have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from crosstrait.models.base import ModelConfig
from crosstrait.models.canonical import CanonicalConfig
from crosstrait.models.members import forward_members
from crosstrait.models.rijal import RijalConfig
from crosstrait.models.rijal_multienv import RijalMultienvConfig
from crosstrait.models.transformer import TransformerConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.member import MemberTask
from crosstrait.training.network import train_network
from support.model_contract import NetworkContract, Problem
from support.training import CPU, training


@dataclasses.dataclass(frozen=True)
class Trained:
    """The networks of a fit: one, or one a trait."""

    networks: list[nn.Module]

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            members = torch.from_numpy(X).expand(len(self.networks), -1, -1)
            output = forward_members(self.networks, members)
        return output.permute(1, 0, 2).flatten(1).numpy()


class TrainedContract(NetworkContract):
    """The contract of a network, with few and large steps."""

    epochs = 12
    rate = 0.03
    minimum_r2 = 0.8

    @pytest.fixture(autouse=True)
    def _short(self, request: pytest.FixtureRequest) -> None:
        """Train for long only where something must have been learned."""
        if not any(word in request.node.name for word in ("learns", "without_any_value")):
            self.epochs = 2

    def problem(self, **changes: Any) -> Problem:
        return super().problem(**({"n_train": 200, "n_validation": 40} | changes))

    def networks(self, problem: Problem, *, seed: int) -> list[MemberTask]:
        config, n_traits = self.config(), problem.Y.shape[1]
        columns = [(t,) for t in range(n_traits)] if config.single_trait else [range(n_traits)]
        tasks = []
        for traits in columns:
            torch.manual_seed(seed)
            network = config.build(n_loci=problem.X.shape[1], n_traits=len(traits))
            assert isinstance(network, nn.Module)
            tasks.append(MemberTask(network=network, seed=seed, traits=tuple(traits)))
        return tasks

    def fit(self, problem: Problem, *, seed: int = 0) -> Trained:
        data = DeviceData.place(
            problem.X,
            problem.Y,
            X_validation=problem.X_validation,
            Y_validation=problem.Y_validation,
            device=CPU,
        )
        config = training(
            max_epochs=self.epochs,
            learning_rate=self.rate,
            batch_size=32,
            gradient_clip=1.0,
            keep="best" if len(problem.X_validation) else "last",
        )
        outcomes = train_network(self.networks(problem, seed=seed), data, config)
        assert [outcome.failure for outcome in outcomes] == [None] * len(outcomes)
        return Trained([outcome.network for outcome in outcomes])

    def reloaded(self, fitted: Any, problem: Problem, folder: Path) -> Trained:
        fresh = [task.network for task in self.networks(problem, seed=99)]
        for i, (old, new) in enumerate(zip(fitted.networks, fresh, strict=True)):
            path = folder / f"{i}.safetensors"
            save_file(old.state_dict(), path)
            new.load_state_dict(load_file(path))
            new.eval()
        return Trained(fresh)


class TestRijal(TrainedContract):
    traits_are_independent = True
    n_traits = 1
    minimum_r2_of_pairs = 0.4
    tolerance = 1e-3

    def config(self) -> ModelConfig:
        return RijalConfig(embedding_dim=6, n_layers=1, init_scale=0.3)


class TestRijalMultienv(TrainedContract):
    minimum_r2_of_pairs = 0.4

    def config(self) -> ModelConfig:
        return RijalMultienvConfig(locus_dim=5, n_layers=1, init_scale=0.3)


class TestCanonical(TrainedContract):
    minimum_r2_of_pairs = 0.4
    idle = frozenset({"key_bias"})  # it shifts all scores of a query alike: softmax sees nothing

    def config(self) -> ModelConfig:
        return CanonicalConfig(embedding_dim=8, n_layers=1, init_scale=0.3)


class TestTransformer(TrainedContract):
    minimum_r2_of_pairs = 0.4

    def config(self) -> ModelConfig:
        return TransformerConfig(embedding_dim=8, n_heads=2, feedforward_dim=16, n_layers=1)
