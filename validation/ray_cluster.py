"""Kill a node of a Ray cluster in the middle of an experiment; compare with one machine.

    python validation/ray_cluster.py            # writes ray_cluster.md
    python validation/ray_cluster.py --quick

Two nodes of one CPU each are started by ``ray start`` on this machine. ``crosstrait run --executor
ray`` trains 12 runs on them; once some are finished and another has sent a checkpoint, every
process of the second node gets SIGKILL. The command must end well on what is left, without training
a finished run again, and every number of predictions.parquet and leaderboard.csv (but the training
times) must be bit for bit that of ``--executor local``. Needs Linux and
``pip install 'crosstrait[ray]'``. What it starts it ends, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from crosstrait.experiments.interrupt import stopping_on_signals
from crosstrait.experiments.storage import write_text
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel

EXPERIMENT = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 6
[train]
threads = 1
max_epochs = {epochs}
batch_size = 16
device = "cpu"
[[model]]
type = "ridge"
[[model]]
type = "canonical"
embedding_dim = 8
dropout = 0.1
"""
RAY = str(Path(sys.executable).with_name("ray"))
# Of this cluster alone, and forgotten with it: it joins no other, and no other joins it.
AUTHENTICATION = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="trainings of a second; no table")
    options = parser.parse_args()
    port = _free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        config = SimulationConfig(n_samples=300, n_loci=60, n_traits=2, n_causal=8)
        save_panel(simulate(config)[0], folder / "cross.zarr")
        (folder / "ray.toml").write_text(EXPERIMENT.format(epochs=5 if options.quick else 30))
        here = _run(folder, "local", "--executor", "local", "--workers", "2")
        if here.wait() != 0:
            sys.exit(f"the run on one machine failed: {(folder / 'local.log').read_text()}")
        # Everything that Ray itself writes goes into a folder that is deleted with the rest.
        own = ("--include-dashboard=false", f"--temp-dir={folder / 'ray-files'}")
        nodes = [_start_node("--head", f"--port={port}", *own)]
        try:
            _wait_for(lambda: bool(_status(port)), nodes[0])
            nodes.append(_start_node(f"--address=127.0.0.1:{port}"))
            start = time.monotonic()
            run = _run(folder, "ray", "--executor", "ray", RAY_ADDRESS=f"127.0.0.1:{port}")
            _wait_for(lambda: any(folder.glob("ray/runs/canonical-*/DONE")), run)
            _wait_for(lambda: any(folder.glob("ray/runs/.work/canonical-*/*.safetensors")), run)
            n_nodes = _status(port).count(" node_")
            finished = len(list(folder.glob("ray/runs/*/DONE")))
            checkpoints = len(list(folder.glob("ray/runs/.work/canonical-*/*.safetensors")))
            moments = _written(folder)
            _kill_with_children(nodes[1].pid)
            killed = time.monotonic() - start
            code = run.wait()
            ended = time.monotonic() - start
        finally:
            for node in nodes:
                _kill_with_children(node.pid)
        untouched = all(_written(folder).get(path) == moment for path, moment in moments.items())
        same = code == 0 and _numbers(folder / "ray") == _numbers(folder / "local")
        if code:
            print((folder / "ray.log").read_text())
    rows = [
        ("nodes before the kill", str(n_nodes)),
        ("second node killed after", f"{killed:.0f} s"),
        ("runs finished by then", f"{finished} of 12"),
        ("checkpoint files that had reached the driver", str(checkpoints)),
        ("the command ended after", f"{ended:.0f} s, exit code {code}"),
        ("finished runs trained again", "none" if untouched else "SOME"),
        ("numbers bit for bit those of one machine", "yes" if same else "NO"),
    ]
    table = "\n".join(
        ["| a cluster of two nodes | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    )
    print(table)
    if not options.quick:
        text = f"# A node of a Ray cluster dies\n\n{__doc__}\n{table}\n"
        write_text(Path(__file__).with_suffix(".md"), text)
    return 0 if same and untouched else 1


def _run(folder: Path, name: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "crosstrait.cli", "run", str(folder / "ray.toml")]
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [*command, "--out", str(folder / name), *options],
            stdout=log,
            stderr=log,
            env={**os.environ, **AUTHENTICATION, **environment},
        )


def _start_node(*options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [RAY, "start", "--block", "--num-cpus=1", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **AUTHENTICATION},
    )


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def _status(port: int) -> str:
    command = [RAY, "status", f"--address=127.0.0.1:{port}"]
    environment = {**os.environ, **AUTHENTICATION}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done.stdout if done.returncode == 0 else ""


def _kill_with_children(pid: int) -> None:
    """Send SIGKILL to a process that this script started, and to all that came of it."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = " ".join((thread / "children").read_text() for thread in threads).split()
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        _kill_with_children(int(child))


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for a condition, or for the end of the process that is to bring it about."""
    while not condition() and process.poll() is None:
        time.sleep(0.2)


def _written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("ray/runs/[a-z]*/*")}


def _numbers(out: Path) -> tuple[bytes, bytes]:
    """Return everything that must not differ, exactly."""
    cells = pd.read_parquet(out / "predictions.parquet")
    board = pd.read_csv(out / "leaderboard.csv").drop(columns="train_seconds")
    board = board.sort_values(["model", "trait", "metric"])
    return cells.to_csv().encode(), board.to_csv().encode()


if __name__ == "__main__":
    with stopping_on_signals():
        sys.exit(main())
