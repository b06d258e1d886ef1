"""What the speed benchmarks share: the published models as cases, their steps and clocks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crosstrait.models.members import RunMembers, forward_members, run_members
from crosstrait.models.products import product
from crosstrait.models.registry import parse_model

Step = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model at a size, and the samples of a step."""

    settings: Mapping[str, Any]
    n_loci: int
    batch: int
    n_traits: int

    @property
    def name(self) -> str:
        return f"{self.settings['type']}, d = {self.settings['embedding_dim']}, batch {self.batch}"

    def network(self, *, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        made = parse_model(dict(self.settings)).build(n_loci=self.n_loci, n_traits=self.n_traits)
        assert isinstance(made, nn.Module)
        return made

    def samples(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return random genotypes (batch, L) and traits (batch, T)."""
        generator = torch.Generator().manual_seed(0)
        X = torch.randn(self.batch, self.n_loci, generator=generator).sign()
        Y = torch.randn(self.batch, self.n_traits, generator=generator)
        return X.to(device), Y.to(device)

    @property
    def step_flops(self) -> float:
        """Multiplications and additions of the equations' matrix products, forward and backward.

        The backward pass counts twice the forward pass. What an implementation saves or computes
        again is not counted, so that the share of the machine's rate compares like with like.
        """
        d, L = self.settings["embedding_dim"], self.n_loci
        maps, attention = 3 * L * d * d, 2 * L * L * d
        if self.settings["type"] == "transformer":
            maps += L * d * d + 2 * L * d * self.settings["feedforward_dim"]
        return 3 * 2.0 * self.settings["n_layers"] * (maps + attention) * self.batch


def published(n_loci: int) -> dict[str, Case]:
    """Return the models as published; the transformer with a batch for a CPU's memory."""
    sizes: dict[str, tuple[int, int, dict[str, Any]]] = {
        "rijal": (64, 1, {"embedding_dim": 13}),
        "canonical": (64, 18, {"embedding_dim": 128}),
        "transformer": (16, 18, {"embedding_dim": 256, "n_heads": 4, "feedforward_dim": 1024}),
    }
    return {
        name: Case(
            settings={"type": name, "n_layers": 3, **settings},
            n_loci=n_loci,
            batch=batch,
            n_traits=n_traits,
        )
        for name, (batch, n_traits, settings) in sizes.items()
    }


def step_of(
    network: nn.Module | list[nn.Module],
    X: Tensor,
    Y: Tensor,
    *,
    bf16: bool = False,
    run: RunMembers = run_members,
) -> Step:
    """Return a training step: forward, mean squared error, backward, Adam.

    A list of networks learns in one pass, each from the same samples with its own optimiser.
    """
    together = network if isinstance(network, list) else [network]
    optimizers = [torch.optim.Adam(own.parameters(), fused=True) for own in together]
    X = X.expand(len(together), *X.shape)

    def step() -> None:
        with torch.autocast(X.device.type, dtype=torch.bfloat16, enabled=bf16):
            predicted = forward_members(together, X, run=run)
        error = (predicted.float() - Y).square().mean(dim=(1, 2))
        error.sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def seconds(step: Step, device: torch.device) -> float:
    """Time one call: by events where the device has them, else by the clock."""
    if device.type == "cuda":
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        step()
        after.record()
        torch.cuda.synchronize(device)
        return before.elapsed_time(after) / 1e3
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def seconds_in_turn(
    steps: Mapping[str, Step], device: torch.device, *, repeats: int, warm_up: int = 1
) -> dict[str, float]:
    """Return the median time of each step, taken in turn so that other load meets all alike."""
    for step in steps.values():
        for _ in range(warm_up):
            step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(seconds(step, device))
    return {name: statistics.median(values) for name, values in times.items()}


def product_rate(device: torch.device, dtype: torch.dtype, *, size: int) -> float:
    """Return the measured rate of square matrix products, by whichever library is faster (1/s)."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    ways: dict[str, Step] = {"torch": lambda: torch.mm(a, b)}
    if device.type == "cpu":
        ways["ours"] = lambda: product(a, b)
    times = seconds_in_turn(ways, device, repeats=7, warm_up=2)
    return 2.0 * size**3 / min(times.values())
