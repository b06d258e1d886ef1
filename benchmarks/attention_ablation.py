"""What attention adds, and what it costs: rows of an ablation on real and simulated crosses.

All rows of a cross share folds, lasso effects, training recipe and test samples. The lithium
splits are seeds 10 and 11, not the 0, 1 and 2 that the field reports. Rows that the .csv beside
this file has are not computed again. `--only PREFIX` computes some crosses; `--cost` times a
training step beside the transformer's.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.genotypes.prune import prune_linked
from crosstrait.models.base import Array
from crosstrait.models.member_weights import weigh_members
from crosstrait.models.pair_attention import fit_pair_attention
from crosstrait.models.residual import ResidualConfig, ResidualEstimator, Trunks
from crosstrait.models.sparse_attention import SparseAttentionConfig
from crosstrait.models.transformer import TransformerConfig
from crosstrait.panel.simulate import simulate
from crosstrait.panel.simulate_settings import Epistasis, SimulationConfig
from crosstrait.panel.sources import load_panel

HEADS, KEY = 8, 8
TABLE = Path(__file__).with_suffix(".md")
ROWS = TABLE.with_suffix(".csv")
CEILING = "a perfect predictor"
WITH_SOFTMAX = "lithium, split 10", "simulated, 2 hubs + 20 pairs (1)"
Cross = tuple[np.ndarray, np.ndarray, int, float]


class Attending(Trunks):
    """Networks in which queries of a sample's hidden units weigh its loci, by softmax."""

    n_queries = 1

    def __init__(self, config: ResidualConfig, *, n_loci: int, n_traits: int) -> None:
        super().__init__(config, n_loci=n_loci, n_traits=n_traits)
        K, H = len(config.focus), config.width
        self.query = nn.ParameterList(torch.zeros(K, H, HEADS * KEY) for _ in range(self.n_queries))
        self.key = nn.Parameter(torch.randn(K, KEY, n_loci) / KEY**0.5)

    def read(self, units: Tensor, layer: int, loci: Tensor, values: Tensor) -> Tensor:
        """Sum values (K, L, H) of loci (K, B, L), each times its attention over uniform."""
        K, B, L = loci.shape
        query = torch.bmm(units, self.query[layer]).view(K, B * HEADS, KEY)
        score = torch.bmm(query, self.key * self.locus_weight).view(K, B, HEADS, L)
        seen = torch.softmax(score, dim=-1) * L * loci.unsqueeze(2)  # queries are 0 at the start
        by_head = values.view(K, L, HEADS, -1).transpose(1, 2).flatten(0, 1)
        read = torch.bmm(seen.transpose(1, 2).reshape(K * HEADS, B, L), by_head)
        return read.view(K, HEADS, B, -1).transpose(1, 2).reshape(K, B, -1)

    def drop(self, units: Tensor) -> Tensor:
        return F.dropout(units, self.dropout, self.training)


class Gated(Attending):
    """The first layer reads the loci twice, the second time with attention from the first."""

    def forward(self, X: Tensor) -> Tensor:
        loci = X * self.locus_weight
        units = F.silu(torch.baddbmm(self.bias[0], loci, self.weight[0]))
        hidden = self.drop(F.silu(self.read(units, 0, loci, self.weight[0]) + self.bias[0]))
        for weight, bias in zip(self.weight[1:], self.bias[1:], strict=True):
            hidden = hidden + self.drop(F.silu(torch.baddbmm(bias, hidden, weight)))
        return torch.baddbmm(self.offset, hidden, self.readout)


class Reading(Attending):
    """Hidden units read the loci again in each layer, in place of the dense layers."""

    n_queries = 2

    def __init__(self, config: ResidualConfig, *, n_loci: int, n_traits: int) -> None:
        super().__init__(config.model_copy(update={"depth": 1}), n_loci=n_loci, n_traits=n_traits)
        shape = len(config.focus), n_loci, config.width
        self.values = nn.ParameterList(
            torch.randn(shape) / n_loci**0.5 for _ in range(self.n_queries)
        )

    def forward(self, X: Tensor) -> Tensor:
        loci = X * self.locus_weight
        hidden = self.drop(F.silu(torch.baddbmm(self.bias[0], loci, self.weight[0])))
        for layer, values in enumerate(self.values):
            hidden = hidden + self.drop(F.silu(self.read(hidden, layer, loci, values)))
        return torch.baddbmm(self.offset, hidden, self.readout)


class Latents(Trunks):
    """Hidden units are eight tokens that attend to each other before every dense layer."""

    def __init__(self, config: ResidualConfig, *, n_loci: int, n_traits: int) -> None:
        super().__init__(config, n_loci=n_loci, n_traits=n_traits)
        K, H, d = len(config.focus), config.width, config.width // HEADS
        layers = range(config.depth - 1)
        self.projection = nn.ParameterList(torch.randn(K, d, 3 * d) / d**0.5 for _ in layers)
        self.out = nn.ParameterList(torch.randn(K, H, H) / H**0.5 for _ in layers)

    def forward(self, X: Tensor) -> Tensor:
        units = torch.baddbmm(self.bias[0], X * self.locus_weight, self.weight[0])
        hidden = F.dropout(F.silu(units), self.dropout, self.training)
        K, B, H = hidden.shape
        for layer, (projection, out) in enumerate(zip(self.projection, self.out, strict=True), 1):
            tokens = torch.bmm(hidden.view(K, B * HEADS, H // HEADS), projection)
            parts = tokens.view(K * B, HEADS, -1).chunk(3, dim=-1)
            attended = F.scaled_dot_product_attention(*parts).reshape(K, B, H)
            hidden = hidden + F.dropout(torch.bmm(attended, out), self.dropout, self.training)
            units = F.silu(torch.baddbmm(self.bias[layer], hidden, self.weight[layer]))
            hidden = hidden + F.dropout(units, self.dropout, self.training)
        return torch.baddbmm(self.offset, hidden, self.readout)


SOFTMAX: dict[str, type[Trunks]] = {
    "networks, first layer gated by softmax attention over loci": Gated,
    "networks, dense layers replaced by softmax reads of loci": Reading,
    "networks, self-attention among 8 latent tokens": Latents,
}


def lithium(seed: int, *, quick: bool, n_learn: int = 15866) -> Cross:
    panel = load_panel("bbq_li")
    order = np.random.default_rng(seed).permutation(panel.sizes["samples"])
    X = (2 * panel["call_dosage"].values - 1).astype(np.float32)[order]
    n_learn = 1500 if quick else n_learn
    keep = np.r_[:n_learn, 15866 : len(X)]
    return X[keep], panel["trait_value"].values[order][keep], n_learn, np.nan


def byxrm(*, quick: bool) -> Cross:
    """The 46 traits, holes and all, of one fold of five."""
    panel = load_panel("byxrm")
    order = np.random.default_rng(10).permutation(panel.sizes["samples"])
    dosage, n_learn = panel["call_dosage"].values[order], 806
    kept = prune_linked(dosage, threshold=0.94, rows=np.arange(n_learn))
    X = (2 * dosage[:, kept] - 1).astype(np.float32)
    traits = slice(0, 4) if quick else slice(None)
    return X, panel["trait_value"].values[order][:, traits], n_learn, np.nan


def simulated(seed: int, *, hubs: int, pairs: int, quick: bool) -> Cross:
    n_learn = 1500 if quick else 8000
    config = SimulationConfig(
        n_samples=n_learn + 2000,
        n_loci=300,
        n_traits=4,
        n_causal=60,
        additive=(0.45,),
        epistasis=Epistasis(share=(0.25,), n_hubs=hubs, hub_partners=12, n_pairs=pairs),
        genetic_correlation=0.5,
        seed=seed,
    )
    panel, truth = simulate(config)
    X = (2 * panel["call_dosage"].values - 1).astype(np.float32)
    return X, panel["trait_value"].values, n_learn, float(truth.attainable_r2.mean())


def crosses(*, quick: bool) -> dict[str, Callable[[], Cross]]:
    return {
        "lithium, split 10": lambda: lithium(10, quick=quick),
        "lithium, split 11": lambda: lithium(11, quick=quick),
        "lithium, split 10, 3,000 samples": lambda: lithium(10, quick=quick, n_learn=3000),
        "BY x RM, 46 traits": lambda: byxrm(quick=quick),
        "simulated, 2 hubs + 20 pairs (1)": lambda: simulated(1, hubs=2, pairs=20, quick=quick),
        "simulated, 2 hubs + 20 pairs (2)": lambda: simulated(2, hubs=2, pairs=20, quick=quick),
        "simulated, 500 pairs": lambda: simulated(3, hubs=0, pairs=500, quick=quick),
    }


PLAIN: dict[str, tuple[str, ...]] = {
    "additive effects (lasso)": (),
    "+ sparse attention": ("attention",),
    "+ networks (attention switched off)": ("networks",),
    "+ sparse attention + networks = sparse_attention": ("attention", "networks"),
}
NETWORKS = {"networks": Trunks} | SOFTMAX


class Variant(ResidualEstimator):
    """The residual model with other networks."""

    def __init__(self, kind: type[Trunks], config: ResidualConfig, X: Array, Y: Array) -> None:
        self.kind = kind
        super().__init__(config, n_loci=X.shape[1], n_traits=Y.shape[1])

    def _untrained(self) -> Trunks:
        n_traits, n_loci = self.coef.shape
        return self.kind(self.config, n_loci=n_loci, n_traits=n_traits).eval()


class Ablation:
    """The parts of all rows of one cross, each learned when first asked for."""

    def __init__(self, cross: Cross, *, quick: bool) -> None:
        X, Y, n_learn, self.ceiling = cross
        self.Y = (Y - np.nanmean(Y[:n_learn], axis=0)) / np.nanstd(Y[:n_learn], axis=0)
        self.X, self.n_learn = X, n_learn
        self.config = ResidualConfig(epochs=3) if quick else ResidualConfig()
        self.made: dict[str, Array] = {}
        self.seconds: dict[str, float] = {}
        self.part("networks")  # and with it the effects and the folds of all parts

    def row(self, parts: tuple[str, ...]) -> tuple[float, float]:
        """Weigh the members of some parts together; return test R2 and seconds."""
        predicted = self.residual.additive(self.X)
        if parts:
            outputs = np.concatenate([self.part(name) for name in parts])
            share = weigh_members(
                outputs[:, : self.n_learn],
                self.folds.own(self.folds.left),
                unseen=np.tile(self.folds.unseen, (len(parts), 1)),
            )
            predicted = predicted + np.tensordot(share, outputs, axes=1)
        error, observed = (self.Y - predicted)[self.n_learn :], self.Y[self.n_learn :]
        r2 = 1 - np.nanmean(error**2, axis=0) / np.nanvar(observed, axis=0)
        return float(r2.mean()), sum(self.seconds[name] for name in parts)

    def part(self, name: str) -> Array:
        """Return the members' outputs (K, n, T) for all samples."""
        if name in self.made:
            return self.made[name]
        X, Y = self.X[: self.n_learn], self.Y[: self.n_learn]
        start = time.process_time()
        if name == "attention":
            self.made[name] = fit_pair_attention(
                X,
                self.folds.left,
                fold=self.folds.fold,
                importance=np.abs(self.residual.coef).sum(axis=0),
                n_pairs=SparseAttentionConfig().n_pairs,
            ).members(self.X)
        else:
            variant = Variant(NETWORKS[name], self.config, X, Y)
            folds = variant.cross_fit(X, Y, seed=0)
            if name == "networks":
                self.residual, self.folds = variant, folds
            self.made[name] = variant.members(self.X)
        self.seconds[name] = time.process_time() - start
        return self.made[name]


def cost(*, quick: bool) -> str:
    """Milliseconds a sample and step at L = 1,164 and 18 traits, beside the transformer's."""
    n_loci, n_traits, n = 1164, 18, 500 if quick else 4000
    rng = np.random.default_rng(0)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(n, n_loci))
    effects = rng.normal(size=(50, n_traits)) / 50**0.5
    Y = X[:, :50] @ effects + X[:, [0]] * (X[:, 50:100] @ effects) + rng.normal(size=(n, n_traits))
    networks = ResidualConfig(epochs=2) if quick else ResidualConfig()
    model = SparseAttentionConfig(networks=networks).build(n_loci=n_loci, n_traits=n_traits)
    start = time.perf_counter()
    model.fit(X, Y, X_validation=X[:0], Y_validation=Y[:0], seed=0)
    ours = (time.perf_counter() - start) / (n * networks.epochs)
    vanilla = TransformerConfig().build(n_loci=n_loci, n_traits=n_traits)
    optimizer = torch.optim.AdamW(vanilla.parameters())
    times = []
    for _ in range(2 if quick else 4):
        start = time.perf_counter()
        error = vanilla(torch.from_numpy(X[:16])) - torch.from_numpy(Y[:16]).float()
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
        times.append((time.perf_counter() - start) / 16)
    theirs = statistics.median(times)
    return (
        f"At L = {n_loci:,} and {n_traits} traits, on {torch.get_num_threads()} thread(s), a "
        f"sample costs {1e3 * ours:.2f} ms an epoch (the whole fit of 5 members, effects and "
        f"attention included, {n:,} samples, {networks.epochs} epochs) and {1e3 * theirs:.0f} ms "
        f"in a training step of the vanilla transformer (d = 256, 3 layers, batch 16): "
        f"{theirs / ours:.0f} times more.\n"
    )


Done = dict[tuple[str, str], tuple[float, float]]


def read() -> Done:
    if not ROWS.exists():
        return {}
    with ROWS.open() as file:
        return {
            (row["cross"], row["model"]): (float(row["r2"]), float(row["seconds"]))
            for row in csv.DictReader(file)
        }


def write(done: Done) -> None:
    with ROWS.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["cross", "model", "r2", "seconds"])
        writer.writerows((*key, f"{r2:.5f}", f"{spent:.1f}") for key, (r2, spent) in done.items())


def table(done: Done) -> str:
    names = list(dict.fromkeys(name for name, _ in done))
    head = "| mean test R2 (core-seconds) | " + " | ".join(names) + " |"
    lines = [head, "|---" * (len(names) + 1) + "|"]
    for model in [*PLAIN, *(f"+ {name}" for name in SOFTMAX), CEILING]:
        shown = []
        for name in names:
            r2, spent = done.get((name, model), (np.nan, np.nan))
            text = "" if np.isnan(r2) else f"{r2:.4f}"
            shown.append(text if np.isnan(spent) else f"{text} ({spent:.0f})")
        lines.append(f"| {model} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--no-softmax", action="store_true")
    parser.add_argument("--cost", action="store_true")
    arguments = parser.parse_args()
    if arguments.cost:
        print(cost(quick=arguments.quick))
        return
    done = {} if arguments.quick else read()
    for name, make in crosses(quick=arguments.quick).items():
        rows = dict(PLAIN)
        if name in WITH_SOFTMAX and not arguments.no_softmax:
            rows |= {f"+ {kind}": (kind,) for kind in SOFTMAX}
        rows = {model: parts for model, parts in rows.items() if (name, model) not in done}
        if not name.startswith(arguments.only) or not rows:
            continue
        print(name)
        ablation = Ablation(make(), quick=arguments.quick)
        for model, parts in rows.items():
            done[name, model] = r2, spent = ablation.row(parts)
            print(f"{r2:.4f} {spent:6.1f} s  {model}", flush=True)
            if not arguments.quick:
                write(read() | done)
        done[name, CEILING] = ablation.ceiling, np.nan
    if not arguments.quick:
        done = read() | done
        write(done)
    print(table(done))


if __name__ == "__main__":
    main()
