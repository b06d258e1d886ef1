"""What the Gaussian process reaches, what its kernel's parts give, and what fewer numbers cost.

    python benchmarks/gp.py lithium [--seeds 10 11] [--quick]
    python benchmarks/gp.py byxrm [--folds 0 1] [--quick]
    python benchmarks/gp.py kernel [--seeds 10 11] [--quick]
    python benchmarks/gp.py reduction [--seeds 10] [--quick]

Needs the raw files that CROSSTRAIT_DATA names, or downloads them. Prints rows of the tables in
gp.md. Split seeds 0, 1 and 2 of lithium are those that the field reports; develop on others.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crosstrait as ct
from crosstrait.models.gp_exact import dual_weights
from crosstrait.models.gp_inducing import solve_inducing
from crosstrait.models.gp_kernel import Kernel
from crosstrait.models.gp_learning import additive_effects, learn_kernel
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split

LEVELS = (0.5, 0.8, 0.95)


def explained(observed: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """R2 over the measured cells of one trait."""
    known = ~np.isnan(observed)
    error = ((observed - predicted)[known] ** 2).mean()
    return float(1 - error / observed[known].var())


def fit_and_score(name: str, panel: Panel, split: Split, prune_r: float | None) -> list[str]:
    """Fit a registered model; R2 of the mean trait, coverage, seconds and the process' peak."""
    start = time.perf_counter()
    fitted = ct.fit(name, panel, split, seed=0, prune_r=prune_r)
    seconds = time.perf_counter() - start
    rows = split.rows(panel, "test")
    observed = panel["trait_value"].values[rows]
    predicted = fitted.predict_samples(panel, rows)
    scores = [explained(observed[:, t], predicted[:, t]) for t in range(observed.shape[1])]
    cells = [f"{np.mean(scores):.4f}"]
    known = ~np.isnan(observed)
    for level in LEVELS:
        low, high = fitted.interval_of(panel["call_dosage"].values, rows, level=level)
        cells.append(f"{((observed >= low) & (observed <= high))[known].mean():.3f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [*cells, f"{seconds:.0f}", f"{peak:.1f}"]


def lithium(options: argparse.Namespace) -> None:
    panel = ct.load_panel("bbq_li")
    show("split", "R2", *(f"{level:.0%}" for level in LEVELS), "seconds", "peak GiB")
    for seed in options.seeds:
        test = 0.85 if options.quick else 0.2
        split = ct.split.random(panel, test=test, validation=0.1, seed=seed)
        show(seed, *fit_and_score("gp", panel, split, None))


def byxrm(options: argparse.Namespace) -> None:
    panel = ct.load_panel("byxrm")
    show("fold", "model", "R2", *(f"{level:.0%}" for level in LEVELS), "seconds", "peak GiB")
    splits = ct.split.k_fold(panel, folds=5, validation=0.1, seed=7)
    if options.quick:
        panel = panel.isel(traits=slice(0, 4))
    for fold in options.folds:
        for name in ("ridge", "lasso", "gp"):
            show(fold, name, *fit_and_score(name, panel, splits[fold], 0.94))


def lithium_tensors(seed: int) -> tuple[Tensor, Tensor, Tensor, NDArray[np.float64]]:
    """Coded training genotypes and standardised lithium fitness, and the same of test samples."""
    panel = ct.load_panel("bbq_li")
    split = ct.split.random(panel, test=0.2, validation=0.1, seed=seed)
    train = np.concatenate([split.rows(panel, "train"), split.rows(panel, "validation")])
    test = split.rows(panel, "test")
    X = torch.from_numpy(2 * panel["call_dosage"].values.astype(np.float32) - 1)
    y = panel["trait_value"].values[:, 0].astype(np.float64)
    y = (y - y[train].mean()) / y[train].std()
    return X[train], torch.from_numpy(y[train]).float(), X[test], y[test]


def kernel(options: argparse.Namespace) -> None:
    """The kernel's parts, taken out one at a time: learned on all, conditioned on 7,000."""
    show("split", "kernel", "R2", "noise", "seconds to learn")
    n = 2000 if options.quick else 7000

    def without(*fixed: tuple[str, float]) -> Callable[[Kernel], None]:
        def change(kernel: Kernel) -> None:
            for name, value in fixed:
                getattr(kernel, name).requires_grad_(False).fill_(value)

        return change

    variants = {
        "all": without(),
        "no curve of a score": without(("log_curve", -20)),
        "no heavy tail (a = infinity)": without(("log_shape", 10)),
        "product and additive alone": without(("log_curve", -20), ("log_shape", 10)),
        "additive alone": without(("log_variance", -20)),
        "no additive term": without(("log_linear", -20)),
    }
    for seed in options.seeds:
        A, y, Z, z = lithium_tensors(seed)
        for name, change in variants.items():
            learned = Kernel(additive_effects(A, y))
            change(learned)
            start = time.perf_counter()
            learn_kernel(learned, A, y, subset=1000, steps=20 if options.quick else 80, seed=0)
            seconds = time.perf_counter() - start
            dual = torch.from_numpy(dual_weights(learned, A[:n], y[:n]))
            scored = explained(z, (learned(Z, A[:n]) @ dual).double().numpy())
            show(seed, name, f"{scored:.4f}", f"{learned.log_noise.exp():.3f}", f"{seconds:.0f}")


def reduction(options: argparse.Namespace) -> None:
    """Ways to bound the matrix to m x m, where 12,000 samples could be conditioned on exactly."""
    show("split", "m", "how", "R2", "seconds")
    n, sizes = (2000, (250, 500)) if options.quick else (12_000, (1500, 3000, 6000))
    for seed in options.seeds:
        A, y, Z, z = lithium_tensors(seed)
        learned = Kernel(additive_effects(A, y))
        learn_kernel(learned, A, y, subset=1000, steps=20 if options.quick else 80, seed=0)
        for m in (*sizes, n):
            for how, predicted, seconds in reductions(learned, A[:n], y[:n], Z, m):
                scored = explained(z, predicted.double().numpy())
                show(seed, m, how, f"{scored:.4f}", f"{seconds:.1f}")


def reductions(
    learned: Kernel, A: Tensor, y: Tensor, Z: Tensor, m: int
) -> Iterator[tuple[str, Tensor, float]]:
    """Yield predictions of Z by each way, and its seconds."""

    def exact(rows: slice) -> Tensor:
        return learned(Z, A[rows]) @ torch.from_numpy(dual_weights(learned, A[rows], y[rows]))

    start = time.perf_counter()
    if m == len(A):
        yield "exact", exact(slice(m)), time.perf_counter() - start
        return
    yield "one subset", exact(slice(m)), time.perf_counter() - start
    start = time.perf_counter()
    parts = [exact(slice(first, first + m)) for first in range(0, len(A), m)]
    seconds = time.perf_counter() - start
    yield f"mean of {len(parts)} disjoint subsets", torch.stack(parts).mean(dim=0), seconds
    start = time.perf_counter()
    dual = torch.from_numpy(solve_inducing(learned, A, y, A[:m]).dual)
    yield "inducing genotypes", learned(Z, A[:m]) @ dual, time.perf_counter() - start


def show(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"lithium": lithium, "byxrm": byxrm, "kernel": kernel, "reduction": reduction}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10])
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--quick", action="store_true", help="small enough for a minute")
    options = parser.parse_args()
    parts[options.part](options)


if __name__ == "__main__":
    main()
