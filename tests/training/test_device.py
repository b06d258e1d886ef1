"""Where training runs, how data lie there, and how much fits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from crosstrait.errors import SettingsError
from crosstrait.models.registry import parse_model
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.device import choose_device, uses_bf16
from crosstrait.training.memory import activation_bytes, members_at_once
from crosstrait.training.network import train_network
from support.training import CPU, cross, replicate, training, weights


def test_a_cpu_computes_in_float32_unless_told_otherwise() -> None:
    assert choose_device(TrainConfig(device="cpu")) == CPU
    assert not uses_bf16(TrainConfig(), CPU)
    assert not uses_bf16(TrainConfig(precision="32"), CPU)
    assert uses_bf16(TrainConfig(precision="bf16"), CPU)


def test_auto_is_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device(TrainConfig(device="auto")).type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match="torch finds no GPU here; use device = 'auto'"):
        choose_device(TrainConfig(device="cuda"))


def test_bf16_is_mixed_parameters_stay_float32() -> None:
    data = cross()
    [exact] = train_network([replicate(0)], data, training())
    [mixed] = train_network([replicate(0)], data, training(precision="bf16"))
    for name, value in weights(exact.network).items():
        other = weights(mixed.network)[name]
        assert other.dtype == np.float32
        assert not np.array_equal(other, value), name
        np.testing.assert_allclose(other, value, atol=0.03)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-1.0, 1.0, 0.0], torch.int8),
        ([-1.0, 0.5, -0.25], torch.float16),
        ([-1.0, 0.1, 0.0], torch.float32),
    ],
    ids=["calls", "tetraploid calls", "probabilities"],
)
def test_genotypes_lie_on_an_accelerator_in_the_narrowest_exact_type(
    values: list[float], expected: torch.dtype
) -> None:
    X = np.array([values] * 2, dtype=np.float32)
    Y = np.zeros((2, 1))
    arguments = {"X_validation": X, "Y_validation": Y}
    there = DeviceData.place(X, Y, **arguments, device=torch.device("meta"))
    assert there.X.dtype == there.X_validation.dtype == expected
    assert there.Y.dtype == torch.float32
    here = DeviceData.place(X, Y, **arguments, device=CPU)
    assert here.X.dtype == torch.float32


def test_activations_are_what_the_backward_pass_holds() -> None:
    # Linear keeps its input, Tanh its output, the second Linear the same output.
    network = nn.Sequential(nn.Linear(50, 200), nn.Tanh(), nn.Linear(200, 3))
    assert activation_bytes(network, n_loci=50) == 4 * (50 + 200)


def test_activations_are_those_of_the_device_that_trains() -> None:
    # With many loci a CPU makes most of them again, and an accelerator keeps them.
    config = {"type": "transformer", "embedding_dim": 8, "n_heads": 2, "feedforward_dim": 16}
    network = parse_model(config).build(n_loci=300, n_traits=2)
    here = activation_bytes(network, n_loci=300)
    assert activation_bytes(network.to("meta"), n_loci=300) > 2 * here > 0


def test_as_many_members_train_together_as_memory_holds() -> None:
    network = replicate(0).network
    few, many = (
        members_at_once(network, n_loci=6, batch=batch, device=CPU) for batch in (10**6, 10**4)
    )
    assert many == pytest.approx(100 * few, rel=0.2)
    assert members_at_once(network, n_loci=6, batch=10**12, device=CPU) == 1


def test_a_process_with_some_of_the_cores_takes_their_share_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def members(threads: int) -> int:
        torch.set_num_threads(threads)
        return members_at_once(replicate(0).network, n_loci=6, batch=10**4, device=CPU)

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert members(1) == pytest.approx(members(2) / 2, abs=1)
    assert members(3) == members(2)
