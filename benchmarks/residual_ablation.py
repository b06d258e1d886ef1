"""What each setting of the residual model gives, on lithium splits that nobody reports.

    python benchmarks/residual_ablation.py [--seeds 10 11] [--only width depth] [--quick]

Every row changes one setting of the default; R2 on the test samples of each split.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from crosstrait.panel.sources import load_panel
from crosstrait.split.schemes import random
from crosstrait.training.fit import fit

EVEN = (0.0,) * 5
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "width 64": {"width": 64},
    "width 256": {"width": 256},
    "depth 2": {"depth": 2},
    "depth 6": {"depth": 6},
    "dropout 0": {"dropout": 0.0},
    "dropout 0.3": {"dropout": 0.3},
    "weight decay 0.1": {"weight_decay": 0.1},
    "weight decay 0.6": {"weight_decay": 0.6},
    "no averaged weights": {"average_decay": 0.0},
    "focus: none": {"focus": EVEN},
    "focus: all 1": {"focus": (1.0,) * 5},
    "10 members": {"focus": (0.0, 0.5, 0.75, 0.75, 1.0, 1.0, 1.0, 1.25, 1.25, 1.5)},
    "12 epochs": {"epochs": 12},
    "batch 256": {"batch_size": 256},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11])
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose name starts so")
    parser.add_argument("--quick", action="store_true", help="one epoch")
    options = parser.parse_args()
    panel = load_panel("bbq_li")
    print(f"| setting | {' | '.join(f'split {s}' for s in options.seeds)} | mean | CPU seconds |")
    print("|---|" + "---|" * (len(options.seeds) + 2))
    for name, settings in VARIANTS.items():
        if not name.startswith(tuple(options.only)):
            continue
        settings = settings | ({"epochs": 1} if options.quick else {})
        scores, cpu = [], time.process_time()
        for seed in options.seeds:
            split = random(panel, test=0.2, validation=0.1, seed=seed)
            fitted = fit({"type": "residual", **settings}, panel, split, seed=0)
            rows = split.rows(panel, "test")
            y, p = panel["trait_value"].values[rows], fitted.predict_samples(panel, rows)
            scores.append(1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())
        cpu = (time.process_time() - cpu) / len(options.seeds)
        cells = " | ".join(f"{score:.4f}" for score in scores)
        print(f"| {name} | {cells} | {np.mean(scores):.4f} | {cpu:.0f} |", flush=True)


if __name__ == "__main__":
    main()
