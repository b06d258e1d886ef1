"""Compiled passes give the numbers of those as written, and a compiler that fails stops nothing."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import pytest
import torch

from crosstrait.models.members import forward_members
from crosstrait.models.registry import parse_model
from crosstrait.training import compiled, module
from crosstrait.training.compiled import CompiledMembers, worth_compiling
from crosstrait.training.network import train_network
from support.training import CPU, assert_same_weights, cross, replicate, training

GPU = torch.device("cuda")
MODELS: list[dict[str, Any]] = [
    {"type": "rijal", "embedding_dim": 5},
    {"type": "canonical", "embedding_dim": 6, "layer_norm": True, "skip_connections": True},
    {"type": "transformer", "embedding_dim": 8, "n_heads": 2, "feedforward_dim": 12},
]


@pytest.fixture(autouse=True)
def forget_compiled() -> None:
    torch.compiler.reset()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["type"])
def test_compiled_members_have_the_outputs_and_gradients_of_plain_ones(
    model: dict[str, Any],
) -> None:
    torch.manual_seed(0)
    networks = [parse_model(model).build(n_loci=9, n_traits=1) for _ in range(2)]
    run = CompiledMembers(backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n_samples in (4, 3):  # the last batch of an epoch is smaller
            X = torch.randn(2, n_samples, 9)
            found = []
            for how in ({}, {"run": run}):
                out = forward_members(networks, X, **how)
                out.square().sum().backward()
                found.append([out, *(p.grad for own in networks for p in own.parameters())])
                for own in networks:
                    own.zero_grad()
            for plain, fast in zip(*found, strict=True):
                torch.testing.assert_close(fast, plain)


def test_a_training_that_is_compiled_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data, config = cross(), training()
    [plain] = train_network([replicate(1)], data, config)
    made: list[CompiledMembers] = []

    def compile_for_cpu() -> CompiledMembers:
        made.append(CompiledMembers(backend="aot_eager"))
        return made[-1]

    monkeypatch.setattr(module, "worth_compiling", lambda *_, **__: True)
    monkeypatch.setattr(module, "CompiledMembers", compile_for_cpu)
    [fast] = train_network([replicate(1)], data, config)
    assert len(made) == 1
    assert_same_weights(fast.network, plain.network, rtol=1e-4, atol=1e-6)


def test_a_compiler_that_fails_is_told_once_and_training_goes_on() -> None:
    def broken(*_: object) -> object:
        raise OSError("no space left for kernels")

    run = CompiledMembers(backend=broken)
    network = replicate(0).network
    X = torch.randn(1, 4, 6)
    with pytest.warns(UserWarning, match="could not compile Perceptron.*no space left"):
        first = forward_members([network], X, run=run)
    assert torch.equal(first, network(X[0])[None])
    assert torch.equal(forward_members([network], X, run=run), first)


def test_long_trainings_on_a_gpu_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.utils._triton, "has_triton", lambda: True)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    network, long = replicate(0).network, compiled._FEWEST_STEPS
    assert worth_compiling(network, device=GPU, n_steps=long)
    assert not worth_compiling(network, device=GPU, n_steps=long - 1)
    assert not worth_compiling(network, device=CPU, n_steps=long)
    assert not worth_compiling(replicate(0, dropout=0.1).network, device=GPU, n_steps=long)
    assert not worth_compiling(torch.nn.Linear(2, 2), device=GPU, n_steps=long)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not worth_compiling(network, device=GPU, n_steps=long)
    monkeypatch.setenv("CC", "clang")
    assert worth_compiling(network, device=GPU, n_steps=long)
    monkeypatch.setattr(torch.utils._triton, "has_triton", lambda: False)
    assert not worth_compiling(network, device=GPU, n_steps=long)
