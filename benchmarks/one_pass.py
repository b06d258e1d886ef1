"""Networks trained in one pass, against one alone and one by one: time of a step.

python benchmarks/one_pass.py [--quick] [--write]

All take turns in one process, each an epoch of `train_network` on the device it would choose.
Plain is one network of `plain_models.py` in the same loop.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from plain_models import plain_copy

from crosstrait.models.registry import parse_model
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.device import choose_device
from crosstrait.training.member import MemberTask
from crosstrait.training.network import train_network

RIJAL = {"type": "rijal", "embedding_dim": 13}
CANONICAL = {"type": "canonical", "embedding_dim": 64}
N_LOCI, BATCH, REPLICATES, TRAITS = 83, 64, 5, 18


def task(model: dict[str, object], seed: int, *, plain: bool = False) -> MemberTask:
    """Return a network for the first trait."""
    torch.manual_seed(seed)
    network = parse_model(model).build(n_loci=N_LOCI, n_traits=1)
    assert isinstance(network, torch.nn.Module)
    return MemberTask(network=plain_copy(network) if plain else network, seed=seed, traits=(0,))


def simulated(n_samples: int, device: torch.device) -> DeviceData:
    random = np.random.default_rng(0)
    X = random.choice([-1.0, 1.0], (n_samples, N_LOCI)).astype(np.float32)
    Y = random.normal(size=(len(X), 1))
    return DeviceData.place(X, Y, X_validation=X[:0], Y_validation=Y[:0], device=device)


def table(*, n_steps: int, repeats: int) -> list[str]:
    """Measure and return the lines of the table."""
    config = TrainConfig(max_epochs=1, batch_size=BATCH, keep="last")
    device = choose_device(config)
    data = simulated(n_steps * BATCH, device)

    def passes(*groups: list[MemberTask]) -> float:
        """Train each group in one pass, one group after the other: seconds a step of all."""
        outcomes = [one for group in groups for one in train_network(group, data, config)]
        return sum(outcome.seconds for outcome in outcomes) / n_steps

    def ways(model: dict[str, object], n: int) -> dict[str, Callable[[], float]]:
        def networks() -> list[MemberTask]:
            return [task(model, seed) for seed in range(n)]

        return {
            "plain": lambda: passes([task(model, 0, plain=True)]),
            "one": lambda: passes([task(model, 0)]),
            "by one": lambda: passes(*([own] for own in networks())),
            "together": lambda: passes(networks()),
        }

    rows = {
        f"{REPLICATES} x rijal, d = 13": ways(RIJAL, REPLICATES),
        f"{REPLICATES} x canonical, d = 64": ways(CANONICAL, REPLICATES),
        f"{TRAITS} x rijal, d = 13": ways(RIJAL, TRAITS),
    }
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    lines = [
        f"L = {N_LOCI}, batch {BATCH}, {where}, {torch.get_num_threads()} cores, ms a step.",
        "",
        "| networks | one, plain | one | one by one | in one pass | one pass : one "
        "| one by one : one pass | one pass : one, plain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for name, how in rows.items():
        times: dict[str, list[float]] = {way: [] for way in how}
        how["one"]()  # warm up
        for _ in range(repeats):
            for way, measured in times.items():
                measured.append(how[way]())
        ms = {way: 1e3 * statistics.median(measured) for way, measured in times.items()}
        cells = [f"{value:.1f}" for value in ms.values()]
        cells += [f"{ms['together'] / ms['one']:.2f}", f"{ms['by one'] / ms['together']:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {ms['together'] / ms['plain']:.2f} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps")
    parser.add_argument("--write", action="store_true", help="write benchmarks/one_pass.md")
    options = parser.parse_args()
    lines = table(n_steps=3, repeats=1) if options.quick else table(n_steps=15, repeats=5)
    if options.write:
        command = " ".join(["python", *sys.argv])
        text = "\n".join(["# Networks in one pass", "", f"`{command}`", "", *lines])
        Path(__file__).with_suffix(".md").write_text(text + "\n")


if __name__ == "__main__":
    main()
