"""An experiment on this machine needs none of the extras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.experiments import write_tiny

EXTRAS = ["lightgbm", "modal", "optuna", "ray", "submitit", "tensorboard"]
RUN = f"""
import sys

for name in {EXTRAS}:
    sys.modules[name] = None  # which makes importing it an ImportError
from crosstrait.cli import main

main(["run", sys.argv[1], "--out", sys.argv[2], "--workers", "1"])
"""
ENGINES = """
import sys

import crosstrait.experiments.engines.choose
import crosstrait.experiments.engines.modal_engine
import crosstrait.experiments.engines.ray_engine
import crosstrait.experiments.engines.slurm_engine

print(sorted({"modal", "ray", "submitit"} & set(sys.modules)))
"""


def test_an_experiment_on_this_machine_needs_no_extra(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(path), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "runs: 6 trained, 0 found finished, 0 failed" in done.stdout
    assert (tmp_path / "out" / "report.html").is_file()


def test_importing_the_engines_imports_none_of_their_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", ENGINES], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
