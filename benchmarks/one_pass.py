"""Replicates of a network trained in one pass, against one alone: time of an epoch.

python benchmarks/one_pass.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
import torch

from crosstrait.models.registry import parse_model
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.device import choose_device
from crosstrait.training.member import MemberTask
from crosstrait.training.network import train_network

MODELS = {
    "rijal, d = 13": {"type": "rijal", "embedding_dim": 13},
    "canonical, d = 64": {"type": "canonical", "embedding_dim": 64},
}
N_LOCI, BATCH, REPLICATES = 83, 64, 5


def seconds_a_step(model: dict[str, object], members: int, *, n_steps: int) -> float:
    """Train ``members`` replicates in one pass for an epoch."""
    random = np.random.default_rng(0)
    config = TrainConfig(max_epochs=1, batch_size=BATCH, keep="last")
    X = random.choice([-1.0, 1.0], (n_steps * BATCH, N_LOCI)).astype(np.float32)
    Y = random.normal(size=(len(X), 1))
    data = DeviceData.place(
        X, Y, X_validation=X[:0], Y_validation=Y[:0], device=choose_device(config)
    )
    tasks = []
    for seed in range(members):
        torch.manual_seed(seed)
        network = parse_model(model).build(n_loci=N_LOCI, n_traits=1)
        assert isinstance(network, torch.nn.Module)
        tasks.append(MemberTask(network=network, seed=seed, traits=(0,)))
    return sum(outcome.seconds for outcome in train_network(tasks, data, config)) / n_steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    n_steps, repeats = (3, 1) if parser.parse_args().quick else (60, 5)
    print(
        f"| model, L = {N_LOCI}, batch {BATCH} | one, ms a step | {REPLICATES} together | ratio |"
    )
    print("|---|---|---|---|")
    for name, model in MODELS.items():
        times: dict[int, list[float]] = {1: [], REPLICATES: []}
        seconds_a_step(model, 1, n_steps=2)  # warm up
        for _ in range(repeats):  # in turn, so that other load meets both alike
            for members, measured in times.items():
                measured.append(seconds_a_step(model, members, n_steps=n_steps))
        one, many = (1e3 * statistics.median(measured) for measured in times.values())
        print(f"| {name} | {one:.1f} | {many:.1f} | {many / one:.2f} |", flush=True)


if __name__ == "__main__":
    main()
