"""Real processes, killed and crossed; the numbers are those of an undisturbed run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstrait.experiments.cache import is_finished
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from support.experiments import TINY, Command, write_tiny

LONG = TINY.replace("max_epochs = 3", "max_epochs = 100000")
MANY = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 12
[[model]]
type = "ridge"
"""
Start = Callable[..., Command]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start commands; whatever a failed test leaves running is killed."""
    started: list[Command] = []

    def start_one(*arguments: object) -> Command:
        started.append(Command(*arguments))
        return started[-1]

    yield start_one
    for command in started:
        command.close()


def wait_for(condition: Callable[[], object], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def workers(pid: int) -> list[str]:
    """The processes of a pool, without multiprocessing's resource tracker."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def numbers(out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Everything that must not differ between two runs of one experiment."""
    order = ["model", "replicate", "fold", "trait", "sample"]
    cells = pd.read_parquet(out / "predictions.parquet").sort_values(order, ignore_index=True)
    board = pd.read_csv(out / "leaderboard.csv").drop(columns="train_seconds")
    return cells, board.sort_values(["model", "trait", "metric"], ignore_index=True)


def test_a_kill_at_any_moment_costs_no_number(tmp_path: Path, start: Start) -> None:
    path = write_tiny(tmp_path)
    assert start("--version").wait()[0] == 0  # the time below is without the server's start
    begun = time.monotonic()
    code, _, stderr = start("run", path, "--workers", 1, "--out", tmp_path / "undisturbed").wait()
    duration = time.monotonic() - begun
    assert code == 0, stderr
    whole = numbers(tmp_path / "undisturbed")
    # Not seeded: every run of the suite tries other moments.
    for trial, share in enumerate(np.random.default_rng().uniform(0.1, 0.9, 3)):
        out = tmp_path / f"killed-{trial}"
        killed = start("run", path, "--workers", 1, "--out", out)
        time.sleep(share * duration)
        killed.process.kill()
        killed.wait()
        finished = list(out.glob("runs/[a-z]*"))
        assert all(is_finished(folder) for folder in finished)
        written = {
            file: file.stat().st_mtime_ns for folder in finished for file in folder.iterdir()
        }
        code, _, stderr = start("run", path, "--workers", 1, "--out", out).wait()
        assert code == 0, stderr
        assert {file: file.stat().st_mtime_ns for file in written} == written
        for left, right in zip(numbers(out), whole, strict=True):
            pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_ctrl_c_and_sigterm_end_with_one_line_and_lose_nothing_finished(
    tmp_path: Path, start: Start
) -> None:
    path = write_tiny(tmp_path, text=LONG)
    ways = [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)]
    started = {}
    signalled = {}
    for number, workers in ways:
        out = tmp_path / f"{number}-{workers}"
        started[out] = start("run", path, "--workers", workers, "--out", out), number
    for out, (command, number) in started.items():
        # The first checkpoint is written some seconds into the training of the second model.
        wait_for(lambda out=out: list(out.glob("runs/.work/canonical-*/checkpoint-*.safetensors")))
        signalled[out] = time.time_ns()
        os.killpg(command.pid, number)
    for out, (command, number) in started.items():
        code, stdout, stderr = command.wait()
        assert code == 128 + number
        assert stdout == ""
        ended, last = stderr.splitlines()[:-1], stderr.splitlines()[-1]
        assert last.startswith("crosstrait: stopped; what is finished stays")
        assert all(line.startswith("finished  ridge") for line in ended), stderr
        assert len(list(out.glob("runs/ridge-*/DONE"))) == 2
        # What was being trained is kept as it was at the signal, not as it was seconds before.
        left = [path.stat().st_mtime_ns for path in out.glob("runs/.work/canonical-*/checkpoint-*")]
        assert max(left) > signalled[out]


def test_two_processes_share_the_runs_of_one_experiment(tmp_path: Path, start: Start) -> None:
    path = write_tiny(tmp_path, text=MANY)
    both = [start("run", path, "--workers", 1, "--out", tmp_path / "out") for _ in range(2)]
    trained = 0
    for command in both:
        code, stdout, stderr = command.wait()
        assert code == 0, stderr
        found = re.search(r"runs: (\d+) trained, (\d+) found finished, 0 failed", stdout)
        assert found is not None
        trained += int(found[1])
        assert int(found[1]) + int(found[2]) == 12
    assert trained == 12
    assert len(pd.read_parquet(tmp_path / "out" / "predictions.parquet")) == 120


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_a_killed_worker_is_replaced_and_the_numbers_stay(tmp_path: Path, start: Start) -> None:
    path = write_tiny(tmp_path)
    alone = run_experiment(read_experiment(path), out=tmp_path / "alone")
    pool = start("run", path, "--out", tmp_path / "pool", "--workers", 2)
    wait_for(lambda: len(workers(pool.pid)) == 2)
    os.kill(int(workers(pool.pid)[0]), signal.SIGKILL)
    code, _, stderr = pool.wait()
    assert code == 0, stderr
    # Fewer threads a worker add floating-point numbers in another order.
    for left, right in zip(numbers(alone.folder), numbers(tmp_path / "pool"), strict=True):
        pd.testing.assert_frame_equal(left, right, rtol=1e-3, atol=1e-4)
    assert list((tmp_path / "pool" / "runs" / ".work").iterdir()) == []


def test_a_full_disk_stops_the_experiment_with_one_line_and_keeps_what_is_finished(
    tmp_path: Path,
) -> None:
    path = write_tiny(tmp_path, text=MANY)
    out = tmp_path / "out"
    run_experiment(read_experiment(path, changes=["split.folds=3"]), out=out)
    finished = sorted((out / "runs").glob("ridge-*"))
    code = (
        "import resource; from crosstrait.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500));"
        f"main(['run', {str(path)!r}, '--workers', '1', '--out', {str(out)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"crosstrait: .*\n", done.stderr), done.stderr
    assert "size limit" in done.stderr or "File too large" in done.stderr
    assert sorted((out / "runs").glob("ridge-*")) == finished
