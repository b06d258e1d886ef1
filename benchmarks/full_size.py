"""What models recover of a simulated cross as large as the real one of 2022, and what it costs.

    python benchmarks/full_size.py [--quick] [--write] [--models ridge,residual] [--samples 99950]

Simulates segregants x 1,164 loci x 18 traits whose interactions are known, learns from 85 % of
them, and scores the genetic values of the others: the share of the epistatic variance recovered
is 1 - (mean squared error) / (that of ridge), as ridge can learn all but the interactions. Each
model is fitted in a process of its own, whose peak memory includes the panel.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

FIT = """
import json, resource, sys, time
import numpy as np
from crosstrait.panel.storage import open_panel
from crosstrait.split.schemes import random
from crosstrait.training.fit import fit
folder, model = sys.argv[1:]
panel = open_panel(folder + "/cross.zarr")
split = random(panel, test=0.15, validation=0.1, seed=0)
start, cpu = time.perf_counter(), time.process_time()
fitted = fit(model, panel, split, seed=0)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
rows = split.rows(panel, "test")
np.save(folder + f"/{model}.npy", fitted.predict_samples(panel, rows))
learn = len(split.train) + len(split.validation)
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "learn": learn}))
"""

CONFIG = {
    "n_loci": 1164,
    "n_traits": 18,
    "n_causal": 300,
    "additive": 0.5,
    "epistasis": {"share": 0.15, "n_hubs": 5, "hub_partners": 40, "n_pairs": 100, "n_triples": 20},
    "genetic_correlation": 0.4,
    "missing": {"traits": 0.05, "clustering": 0.2},
}


def main() -> None:
    import numpy as np

    from crosstrait.panel.simulate import SimulationConfig, simulate
    from crosstrait.panel.storage import save_panel
    from crosstrait.split.schemes import random

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2,000 segregants and 200 loci")
    parser.add_argument("--samples", type=int, default=99_950)
    parser.add_argument("--models", default="ridge,lasso,residual")
    parser.add_argument("--write", action="store_true", help="write benchmarks/full_size.md")
    options = parser.parse_args()
    size = {"n_samples": 2000, "n_loci": 320} if options.quick else {"n_samples": options.samples}
    panel, truth = simulate(SimulationConfig.model_validate({**CONFIG, **size}))
    rows = random(panel, test=0.15, validation=0.1, seed=0).rows(panel, "test")
    observed = panel["trait_value"].values[rows]
    genetic = (truth.additive_value + truth.epistatic_value)[rows]
    models = options.models.split(",")
    if models[0] != "ridge":
        models.insert(0, "ridge")
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        save_panel(panel, Path(folder) / "cross.zarr")
        n_samples, n_loci = panel.sizes["samples"], panel.sizes["variants"]
        del panel
        for model in models:
            command = [sys.executable, "-c", FIT, folder, model]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            ends.append((json.loads(done.stdout), np.load(f"{folder}/{model}.npy")))
    spread = np.nanvar(observed, axis=0)
    of_ridge = ((ends[0][1] - ends[0][1].mean(0) - genetic + genetic.mean(0)) ** 2).mean(axis=0)
    lines = [
        f"{n_samples:,} segregants x {n_loci:,} loci x 18 traits, {ends[0][0]['learn']:,} learn; "
        f"attainable R2 {truth.attainable_r2.mean():.3f}; means over traits (smallest to largest)",
        "",
        "| model | test R2 | epistatic variance recovered | seconds | CPU seconds | peak GiB |",
        "|---|---|---|---|---|---|",
    ]
    for model, (cost, predicted) in zip(models, ends, strict=True):
        r2 = 1 - np.nanmean((observed - predicted) ** 2, axis=0) / spread
        left = predicted - predicted.mean(0) - genetic + genetic.mean(0)
        share = 1 - (left**2).mean(axis=0) / of_ridge
        lines.append(
            f"| {model} | {r2.mean():.4f} | {share.mean():.0%} ({share.min():.0%} to "
            f"{share.max():.0%}) | {cost['seconds']:.0f} | {cost['cpu']:.0f} | {cost['peak']:.1f} |"
        )
    print("\n".join(lines))
    if options.write:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
