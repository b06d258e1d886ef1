"""What the speed benchmark compares computes the same, and its GPU tables work at toy size."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from attention_speed_gpu import members_table, steps_table
from plain_models import plain_copy
from speed_cases import published, seconds_in_turn, step_of

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only wait for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("model", ["rijal", "canonical", "transformer"])
@pytest.mark.parametrize("n_loci", [30, 260])  # PyTorch's attention, and our blocks
def test_plain_and_ours_have_the_same_outputs_and_gradients(model: str, n_loci: int) -> None:
    case = replace(published(n_loci)[model], batch=2)
    if model == "transformer":
        settings = {"type": model, "embedding_dim": 32, "n_heads": 4, "feedforward_dim": 64}
        case = replace(case, settings=settings)
    ours = case.network()
    for weight in ours.parameters():  # published weights start so small that attention is flat
        weight.data *= 3
    X, _ = case.samples(CPU)
    found = []
    for network, own in ((plain_copy(ours).double(), X.double()), (ours, X.clone())):
        own.requires_grad_()
        out = network(own)
        out.square().sum().backward()
        found.append([part.double() for part in (out.detach(), own.grad, network.embedding.grad)])
    for exact, mine in zip(*found, strict=True):
        assert (mine - exact).abs().max() <= 5e-4 * exact.abs().max()


def test_the_work_of_a_step_is_that_of_the_equations() -> None:
    # MODELS of the article at 1,164 loci: about 0.7, 8 and 29 GFLOP a sample.
    each = {name: case.step_flops / case.batch for name, case in published(1164).items()}
    assert each["rijal"] == pytest.approx(0.7e9, rel=0.1)
    assert each["canonical"] == pytest.approx(8e9, rel=0.1)
    assert each["transformer"] == pytest.approx(29e9, rel=0.05)


def test_steps_take_turns_and_lower_the_loss() -> None:
    case = replace(published(20)["rijal"], batch=4)
    network, (X, Y) = case.network(), case.samples(CPU)
    before = (network(X) - Y).square().mean()
    calls: list[str] = []
    step = step_of(network, X, Y)
    times = seconds_in_turn(
        {"step": step, "other": lambda: calls.append("other")}, CPU, repeats=30, warm_up=2
    )
    assert len(calls) == 32
    assert times["step"] > times["other"] > 0
    assert (network(X) - Y).square().mean() < before


def test_gpu_tables_have_a_row_for_every_way() -> None:
    rows = steps_table(["rijal"], CPU, quick=True)[4:]
    assert len(rows) == 5
    assert all(row.startswith("| rijal, d = 8, batch 4 |") for row in rows)
    assert rows[0].split("|")[4].strip() == "1.0"
    assert [row.split("|")[1].strip().split()[0] for row in members_table(CPU, quick=True)[2:]] == [
        "plain",
        *["ours"] * 4,
    ]
