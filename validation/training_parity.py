"""Train the published models written plainly and ours on the same data: do they learn the same?

    python validation/training_parity.py           # 15 minutes on one core; training_parity.md
    python validation/training_parity.py --quick   # seconds, and no table

Equal functions and gradients (tests/models/test_parity.py) do not show that whole trainings agree:
rounding grows over thousands of steps, and the loop could differ. Here a plain loop (shuffle, cut
a batch, mean squared error, step; keep the epoch with the lowest validation loss) trains the plain
networks of benchmarks/plain_models.py, and `crosstrait.fit` ours, from the same initial weights
but with orders of its own. Their test R2 must differ by no more than seeds do.

What is trained is kept in --results; a run that was interrupted goes on from there.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

import crosstrait as ct
from crosstrait.evaluation.metrics import r2
from crosstrait.experiments.provenance import machine
from crosstrait.experiments.storage import write_text
from crosstrait.models.registry import parse_model
from crosstrait.panel.schema import Panel

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from plain_models import plain_copy

SPLIT_SEED = 10
BATCH = 16
N_SEEDS = 5


@dataclass(frozen=True)
class Case:
    """A model and its training: `epochs` at a constant rate, Adam without decay."""

    model: dict[str, Any]
    epochs: int
    rate: float


CASES = {
    "rijal, d = 13": Case({"type": "rijal", "embedding_dim": 13}, epochs=10, rate=3e-3),
    "canonical, d = 32": Case({"type": "canonical", "embedding_dim": 32}, epochs=6, rate=3e-3),
    "transformer, d = 32, 4 heads, 64 hidden": Case(
        {"type": "transformer", "embedding_dim": 32, "n_heads": 4, "feedforward_dim": 64},
        epochs=3,
        rate=1e-3,
    ),
}


@dataclass(frozen=True)
class Samples:
    """Rows of the panel that train, validate and test."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]

    @classmethod
    def draw(cls, panel: Panel, *, n_train: int) -> Samples:
        order = np.random.default_rng(SPLIT_SEED).permutation(panel.sizes["samples"])
        n_validation = n_train * 3 // 8
        return cls(*np.split(order[: 3 * n_train], [n_train, n_train + n_validation]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(N_SEEDS)))
    parser.add_argument("--only", choices=[name.split(",")[0] for name in CASES])
    parser.add_argument("--results", type=Path, default=Path("results/training_parity.csv"))
    options = parser.parse_args()
    panel = ct.load_panel("bbq_li")
    samples = Samples.draw(panel, n_train=400 if options.quick else 4000)
    done = read(options.results)
    for name, case in CASES.items():
        for seed in [0] if options.quick else options.seeds:
            if options.only not in (None, case.model["type"]):
                continue
            epochs = 1 if options.quick else case.epochs
            for version, train in (("plain", train_plain), ("ours", train_ours)):
                if (name, version, seed) in done and not options.quick:
                    continue
                start = time.perf_counter()
                score = train(case, panel, samples, seed=seed, epochs=epochs)
                seconds = time.perf_counter() - start
                print(
                    f"{name}, seed {seed}, {version}: R2 {score:.4f}, {seconds:.0f} s", flush=True
                )
                done[name, version, seed] = (score, seconds)
                if not options.quick:
                    append(options.results, (name, version, seed, score, seconds))
    if not options.quick:
        text = table(read(options.results), samples=samples)
        print(text)
        write_text(Path(__file__).with_suffix(".md"), text)
    return 0


def train_ours(case: Case, panel: Panel, samples: Samples, *, seed: int, epochs: int) -> float:
    """Return the test R2 of what `crosstrait.fit` makes."""
    ids = panel["sample_id"].values
    split = ct.split.from_ids(
        train=ids[samples.train], validation=ids[samples.validation], test=ids[samples.test]
    )
    train = {"max_epochs": epochs, "batch_size": BATCH, "learning_rate": case.rate}
    settings = {"optimizer": "adam", "precision": "32", "device": "cpu"}
    fitted = ct.fit(case.model, panel, split, seed=seed, train=train | settings)
    observed = panel["trait_value"].values[samples.test]
    return float(r2(observed, predicted=fitted.predict_samples(panel, samples.test))[0])


def train_plain(case: Case, panel: Panel, samples: Samples, *, seed: int, epochs: int) -> float:
    """Return the test R2 of the plain network after a plain loop."""
    X = torch.from_numpy(2 * panel["call_dosage"].values.astype(np.float32) - 1)
    values = panel["trait_value"].values
    mean, sd = values[samples.train].mean(), values[samples.train].std()
    Y = torch.from_numpy((values - mean) / sd).float()
    torch.manual_seed(seed)
    network = plain_copy(parse_model(case.model).build(n_loci=X.shape[1], n_traits=1))
    optimizer = torch.optim.Adam(network.parameters(), lr=case.rate)
    best, kept = float("inf"), copy.deepcopy(network.state_dict())
    for _ in range(epochs):
        for batch in torch.from_numpy(samples.train)[torch.randperm(len(samples.train))].split(
            BATCH
        ):
            optimizer.zero_grad()
            (network(X[batch]) - Y[batch]).square().mean().backward()
            optimizer.step()
        error = predict(network, X[samples.validation]) - Y[samples.validation].numpy()
        if (error**2).mean() < best:
            best, kept = float((error**2).mean()), copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    predicted = predict(network, X[samples.test]) * sd + mean
    return float(r2(values[samples.test], predicted=predicted)[0])


def predict(network: nn.Module, X: torch.Tensor) -> NDArray[np.float32]:
    with torch.no_grad():
        return torch.cat([network(block) for block in X.split(64)]).numpy()


def read(path: Path) -> dict[tuple[str, str, int], tuple[float, float]]:
    if not path.is_file():
        return {}
    rows = pd.read_csv(path).itertuples(index=False, name=None)
    return {(name, version, seed): (score, seconds) for name, version, seed, score, seconds in rows}


def append(path: Path, row: tuple[object, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = not path.is_file()
    frame = pd.DataFrame([row], columns=["model", "version", "seed", "r2", "seconds"])
    frame.to_csv(path, mode="a", header=header, index=False)


def table(done: dict[tuple[str, str, int], tuple[float, float]], *, samples: Samples) -> str:
    about = machine()
    lines = [
        "# Plain and fast trainings reach the same R2",
        "",
        f"Lithium (L = 83), {len(samples.train):,} training, {len(samples.validation):,} "
        f"validation and {len(samples.test):,} test samples of the order "
        f"`default_rng({SPLIT_SEED})`, batches of {BATCH}, Adam at a constant rate, the epoch with "
        f"the lowest validation loss. Plain: the equations with whole score "
        "matrices, and a loop of its own. Budgets are short, so R2 is below what longer trainings "
        "reach; equality is what counts.",
        "",
        "| model | epochs, rate | seeds | plain: R2 ± SD | ours: R2 ± SD "
        "| difference, ± its standard error | plain, s | ours, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, case in CASES.items():
        versions = ("plain", "ours")
        seeds = [s for s in range(N_SEEDS) if all((name, v, s) in done for v in versions)]
        if len(seeds) < 2:
            continue
        scores, seconds = (
            {v: [done[name, v, s][k] for s in seeds] for v in versions} for k in (0, 1)
        )
        spread = {v: statistics.stdev(scores[v]) for v in scores}
        means = {v: statistics.mean(scores[v]) for v in scores}
        error = ((spread["plain"] ** 2 + spread["ours"] ** 2) / len(seeds)) ** 0.5
        times = {v: statistics.median(seconds[v]) for v in seconds}
        lines.append(
            f"| {name} | {case.epochs}, {case.rate:g} | {len(seeds)} "
            f"| {means['plain']:.4f} ± {spread['plain']:.4f} "
            f"| {means['ours']:.4f} ± {spread['ours']:.4f} "
            f"| {means['ours'] - means['plain']:+.4f} ± {error:.4f} "
            f"| {times['plain']:.0f} | {times['ours']:.0f} |"
        )
    lines += [
        "",
        f"One thread of {about['processor']}, torch {torch.__version__}; times are medians of "
        "whole trainings beside other work, and no benchmark. Made by `OMP_NUM_THREADS=1 python "
        "validation/training_parity.py`.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
