"""What learning across traits gains as training cells go missing, as a table.

``python benchmarks/missing_share.py [--quick] [--panel NAME] [--scheme NAME] [--out DIR]`` runs
experiments/missing_share.toml at every share hidden, on the BY x RM cross and on simulated crosses
of known genetic correlation, and writes missing_share.md beside this file from all that is there.
Finished runs are kept in DIR, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from rich.console import Console

from crosstrait.evaluation.leaderboard import MEAN
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel

HERE = Path(__file__).parent
FILE = HERE.parent / "experiments" / "missing_share.toml"
TABLE = HERE / "missing_share.md"
SCHEMES = {"random": "new samples (CV1)", "cells": "hidden cells of training samples (CV2)"}
CORRELATIONS = {"simulated-0.0": 0.0, "simulated-0.8": 0.8}
SHARES = (0.0, 0.5, 0.9)


def simulated(name: str, *, out: Path, quick: bool) -> Path:
    """Save a simulated cross of eight traits and return its path."""
    path = out / f"{name}.zarr"
    if not path.exists():
        config = SimulationConfig(
            n_samples=200 if quick else 1000,
            n_loci=40 if quick else 300,
            n_traits=8,
            n_causal=20 if quick else 60,
            additive=(0.4,),
            epistasis={"share": 0.2},
            genetic_correlation=CORRELATIONS[name],
            seed=11,
        )
        panel, _ = simulate(config)
        save_panel(panel, path)
    return path


def changes(name: str, scheme: str, share: float, *, out: Path, quick: bool) -> list[str]:
    """Return what is set in the experiment file."""
    made = [f"split.hide={share}", f"split.scheme={scheme}"]
    if scheme == "cells":
        made.append("split.test=0.1")
    if name in CORRELATIONS:
        panel = simulated(name, out=out, quick=quick).resolve()
        made += [f'data.panel="{panel}"', "data.prune_r=0.999"]
        made.append('model.residual-single.traits=["trait_1", "trait_2", "trait_3", "trait_4"]')
    if quick:
        made += ["model.residual.epochs=2", "model.residual-single.epochs=2"]
    return made


def rows(name: str, scheme: str, share: float, *, folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row a model, from what an experiment left."""
    board = pd.read_csv(folder / "leaderboard.csv", keep_default_na=False, na_values=[""])
    gains = pd.read_csv(folder / "single_vs_multi.csv").set_index(["model", "trait"])
    for _, row in board[(board["metric"] == "r2") & (board["trait"] == MEAN)].iterrows():
        gain = gains.loc[(row["model"], MEAN)] if (row["model"], MEAN) in gains.index else None
        yield {
            "panel": name,
            "test cells": SCHEMES[scheme],
            "hidden": f"{share:.0%}",
            "model": row["model"],
            "mean R²": f"{row['mean']:.3f}",
            "minus its single-trait version (95 % interval)": ""
            if gain is None
            else f"{gain['difference']:+.3f} ({gain['ci_low']:+.3f} to {gain['ci_high']:+.3f}), "
            f"{gain['n_traits']:.0f} traits",
        }


def main() -> None:
    """Run the study and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny simulated crosses alone")
    parser.add_argument("--panel", choices=["byxrm", *CORRELATIONS], action="append")
    parser.add_argument("--scheme", choices=SCHEMES, action="append")
    parser.add_argument("--share", type=float, action="append")
    parser.add_argument("--out", type=Path, default=Path("results/missing_share"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    panels = given.panel or (list(CORRELATIONS) if given.quick else ["byxrm", *CORRELATIONS])
    for name in panels:
        for scheme in given.scheme or SCHEMES:
            for share in given.share or SHARES:
                experiment = read_experiment(
                    FILE,
                    changes=changes(name, scheme, share, out=given.out, quick=given.quick),
                )
                folder = given.out / f"{name}-{scheme}-{share:g}"
                run_experiment(experiment, out=folder, console=Console(stderr=True))
    table = [
        row
        for name in ["byxrm", *CORRELATIONS]
        for scheme in SCHEMES
        for share in SHARES
        if (folder := given.out / f"{name}-{scheme}-{share:g}")
        .joinpath("leaderboard.csv")
        .is_file()
        for row in rows(name, scheme, share, folder=folder)
    ]
    lines = ["| " + " | ".join(table[0]) + " |", "|-" * len(table[0]) + "|"]
    lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in table]
    text = "\n".join(lines) + "\n"
    print(text)
    if not given.quick:
        TABLE.write_text(HEADER + text)


HEADER = """# What learning across traits gains as training cells go missing

Made by `python benchmarks/missing_share.py` from experiments/missing_share.toml. Hidden is the
share of the measured training cells that nothing learned from; the test cells are the same at
every share. Simulated crosses: 1,000 samples, 300 loci, 8 traits, 40 % additive, 20 % epistatic,
the genetic correlation between all traits in the name.

"""

if __name__ == "__main__":
    main()
