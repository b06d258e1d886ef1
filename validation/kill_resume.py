"""Kill ``crosstrait run`` with SIGKILL at random moments; rerun; compare with an undisturbed run.

    python validation/kill_resume.py                  # 30 kills, an hour; writes kill_resume.md
    python validation/kill_resume.py --kills 2 --quick

An experiment of 12 runs, in two processes. Every trial starts in an empty folder, is killed once,
and is then run to its end. Checked each time: no visible run folder is half written; the finished
runs are not touched again; every number of predictions.parquet, leaderboard.csv (but the training
times) and metrics.csv is bit for bit that of the undisturbed run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crosstrait.experiments.cache import is_finished
from crosstrait.experiments.storage import write_text
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel

EXPERIMENT = """
[data]
panel = "cross.zarr"
prune_r = 0.9
[split]
scheme = "kfold"
folds = 2
[train]
replicates = 2
max_epochs = {epochs}
batch_size = 16
device = "cpu"
[[model]]
type = "ridge"
[[model]]
type = "multi_gblup"
[[model]]
type = "canonical"
embedding_dim = 8
dropout = 0.1
[[model]]
type = "rijal"
traits = ["trait_1"]
embedding_dim = 4
"""


@dataclass(frozen=True)
class Trial:
    """One kill: when, what was finished by then, and whether everything was as it must be."""

    after: float
    finished: int
    checkpoint: bool
    alright: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="trainings of a second")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        experiment = write_experiment(folder, quick=options.quick)
        begun = time.monotonic()
        start(experiment, folder / "undisturbed").wait()
        duration = time.monotonic() - begun
        if not (folder / "undisturbed" / "report.html").is_file():
            sys.exit(f"the undisturbed run failed: {(folder / 'undisturbed.log').read_text()}")
        n_runs = len(list(folder.glob("undisturbed/runs/*/DONE")))
        # The first third is Python importing libraries, where nothing can be lost.
        moments = np.sort(rng.uniform(0.3 * duration, duration, options.kills))
        trials = [_trial(experiment, folder, i, after) for i, after in enumerate(moments)]
    good = sum(trial.alright for trial in trials)
    verdict = f"{good} of {len(trials)} kills: same numbers as undisturbed"
    table = "\n".join(
        [
            "| killed after | runs finished | checkpoint there | same numbers |",
            "|---|---|---|---|",
            *(
                f"| {trial.after:.1f} s | {trial.finished} of {n_runs} | "
                f"{'yes' if trial.checkpoint else 'no'} | {'yes' if trial.alright else 'NO'} |"
                for trial in trials
            ),
        ]
    )
    print(f"undisturbed: {duration:.1f} s\n{table}\n{verdict}")
    if not options.quick:
        text = f"# Killed and resumed\n\n{__doc__}\n{table}\n\n{verdict}.\n"
        write_text(Path(__file__).with_suffix(".md"), text)
    return 0 if good == len(trials) else 1


def write_experiment(folder: Path, *, quick: bool) -> Path:
    """Write a simulated cross and an experiment of 12 runs about it; return its file."""
    sizes = {"n_samples": 80, "n_loci": 16} if quick else {"n_samples": 300, "n_loci": 60}
    save_panel(
        simulate(SimulationConfig(**sizes, n_traits=2, n_causal=8))[0], folder / "cross.zarr"
    )
    experiment = folder / "twelve.toml"
    experiment.write_text(EXPERIMENT.format(epochs=4 if quick else 120))
    return experiment


def start(experiment: Path, out: Path, *, clock: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start the experiment under a clock; what it says goes into a file beside ``out``."""
    run = [sys.executable, "-m", "crosstrait.cli", "run", str(experiment), "--out", str(out)]
    command = [*clock, *run, "--workers", "2"]
    with out.with_suffix(".log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _trial(experiment: Path, folder: Path, number: int, after: float) -> Trial:
    out = folder / f"killed-{number}"
    process = start(experiment, out)
    time.sleep(after)
    process.kill()
    process.wait()
    visible = [path for path in out.glob("runs/*") if not path.name.startswith(".")]
    whole = all(is_finished(path) for path in visible)
    before = {path: path.stat().st_mtime_ns for run in visible for path in run.iterdir()}
    checkpoint = any(out.glob("runs/.work/*/checkpoint-*"))
    ended = start(experiment, out).wait() == 0
    untouched = all(path.stat().st_mtime_ns == moment for path, moment in before.items())
    same = ended and numbers(out) == numbers(folder / "undisturbed")
    return Trial(after, len(visible), checkpoint, whole and ended and untouched and same)


def numbers(out: Path) -> dict[str, bytes]:
    """Return everything that must not differ, exactly."""
    cells = pd.read_parquet(out / "predictions.parquet")
    board = pd.read_csv(out / "leaderboard.csv").drop(columns="train_seconds")
    metrics = {
        path.parent.name: path.read_bytes() for path in sorted(out.glob("runs/*/metrics.csv"))
    }
    return {
        "predictions": cells.to_csv().encode(),
        "leaderboard": board.sort_values(["model", "trait", "metric"]).to_csv().encode(),
        **metrics,
    }


if __name__ == "__main__":
    sys.exit(main())
