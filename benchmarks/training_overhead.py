"""What a training step costs beyond its arithmetic, against a bare PyTorch loop.

python benchmarks/training_overhead.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from torch import nn

from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.member import MemberTask
from crosstrait.training.network import train_network

N_LOCI, N_TRAITS, BATCH = 20, 3, 64


def simulated(n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.choice([-1.0, 1.0], (n_samples, N_LOCI)).astype(np.float32)
    Y = X @ random.normal(size=(N_LOCI, N_TRAITS)) + random.normal(size=(n_samples, N_TRAITS))
    return X, (Y / Y.std(axis=0)).astype(np.float32)


def bare(X: np.ndarray, Y: np.ndarray, epochs: int) -> float:
    """Seconds a step of the shortest loop that trains the same network."""
    network = nn.Linear(N_LOCI, N_TRAITS)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    genotypes, traits = torch.from_numpy(X), torch.from_numpy(Y)
    start, n_steps = time.perf_counter(), 0
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            error = network(genotypes[rows]) - traits[rows]
            optimizer.zero_grad()
            error.square().mean().backward()
            optimizer.step()
            n_steps += 1
    return (time.perf_counter() - start) / n_steps


def ours(X: np.ndarray, Y: np.ndarray, epochs: int, config: TrainConfig) -> float:
    """Seconds a step of `train_network`, the start of the trainer left out."""
    data = DeviceData.place(
        X, Y, X_validation=X[:0], Y_validation=Y[:0], device=torch.device("cpu")
    )
    task = MemberTask(network=nn.Linear(N_LOCI, N_TRAITS), seed=0, traits=tuple(range(N_TRAITS)))
    config = config.model_copy(update={"max_epochs": epochs, "keep": "last"})
    [outcome] = train_network([task], data, config)
    return outcome.seconds / (epochs * -(-len(X) // BATCH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    X, Y = simulated(64 * (50 if quick else 1000))
    epochs, repeats = (2, 2) if quick else (2, 5)
    settings = {
        "plain": TrainConfig(batch_size=BATCH),
        "clipped, averaged, one-cycle": TrainConfig(
            batch_size=BATCH, gradient_clip=1.0, average_decay=0.99, schedule="one_cycle"
        ),
    }
    times: dict[str, list[float]] = {"bare loop": [], **{name: [] for name in settings}}
    for _ in range(repeats):  # in turn, so that other load meets all alike
        times["bare loop"].append(bare(X, Y, epochs))
        for name, config in settings.items():
            times[name].append(ours(X, Y, epochs, config))
    print("| step of a linear network, batch 64 | ms a step |\n|---|---|")
    for name, values in times.items():
        print(f"| {name} | {1e3 * statistics.median(values):.3f} |")


if __name__ == "__main__":
    main()
