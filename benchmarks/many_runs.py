"""What the driver costs beyond the trainings: hundreds of ridge runs, then a pass over the cache.

    python benchmarks/many_runs.py            # 500 runs; writes many_runs.md
    python benchmarks/many_runs.py --quick    # 20 runs

A run is a ridge regression on 48 of 60 simulated samples, 12 loci and 2 traits. Its overhead is the
time of the whole experiment a run, less the fit itself. All runs are trained in one process, then
the same experiment is run again in a fresh process that finds them finished.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from crosstrait.experiments.storage import write_text
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel

EXPERIMENT = """
[data]
panel = "cross.zarr"
[split]
scheme = "random"
repeats = {repeats}
[[model]]
type = "ridge"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="20 runs, no table is written")
    options = parser.parse_args()
    n_runs = 20 if options.quick else options.runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = SimulationConfig(n_samples=60, n_loci=12, n_traits=2, n_causal=4)
        save_panel(simulate(config)[0], folder / "cross.zarr")
        (folder / "many.toml").write_text(EXPERIMENT.format(repeats=n_runs))
        start = _seconds([sys.executable, "-c", "import crosstrait.experiments.driver"])
        passes = [_run(folder, options.workers) for _ in range(3)]
        fit = pd.read_csv(folder / "out" / "leaderboard.csv")["train_seconds"].mean()
    rows = [
        ("Python and imports, in every pass", f"{start:.2f} s"),
        ("first pass, whole command", f"{passes[0]:.1f} s"),
        ("of it, a run", f"{1e3 * (passes[0] - start) / n_runs:.1f} ms"),
        ("of that, the fit", f"{1e3 * fit:.1f} ms"),
        ("second pass, all in the cache, whole command", f"{min(passes[1:]):.2f} s"),
    ]
    table = "\n".join(
        [f"| {n_runs} ridge runs | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    )
    print(table)
    if not options.quick:
        text = f"# Many small runs\n\n{__doc__}\n{table}\n"
        write_text(Path(__file__).with_suffix(".md"), text)


def _run(folder: Path, workers: int) -> float:
    command = [sys.executable, "-m", "crosstrait.cli", "run", str(folder / "many.toml")]
    return _seconds([*command, "--out", str(folder / "out"), "--workers", str(workers)])


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
