"""Requeue and signal jobs of a Slurm cluster, kill the driver; compare with one machine and Ray.

    python validation/slurm_cluster.py            # writes slurm_cluster.md

A cluster of this machine alone is started in a temporary folder: munged, slurmctld and slurmd, at
ports of their own, without accounting; Slurm is installed by apt-get where it is missing. Then
``crosstrait run --executor slurm`` trains 12 runs as one job array. In the middle, one network's
job is requeued (``scontrol requeue``), another gets SIGTERM (``scancel --signal=TERM``), as from
preemption, the driver gets SIGKILL, and the same command is given again. Beside that one it is
given once more, and that third command is ended by Ctrl-C. No job may be cancelled, no finished
run trained again, both networks must go on from where they left, and every metric, every prediction
and the leaderboard (but the training times) must be bit for bit those of ``--executor local``, and
of ``--executor ray`` where Ray is installed. Needs Linux and ``pip install 'crosstrait[slurm]'``.
"""

from __future__ import annotations

import argparse
import getpass
import importlib.util
import json
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from crosstrait.experiments.storage import write_text
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel

EXPERIMENT = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 4
[train]
threads = 1
max_epochs = {epochs}
batch_size = 16
device = "cpu"
[slurm]
partition = "main"
minutes = 60
memory_gb = 1.5
[[model]]
type = "ridge"
[[model]]
type = "lasso"
[[model]]
type = "canonical"
embedding_dim = 8
dropout = 0.1
"""
CONFIGURATION = """
ClusterName=validation
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
DAEMONS = ("munged", "slurmctld", "slurmd")
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
EPOCHS = 60


@dataclass
class Preempted:
    """A network whose job is made to leave, and the last epoch before and the first after it."""

    name: str
    job: str
    left_at: int = 0
    went_on_at: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of a network; else no table")
    parser.add_argument("--folder", type=Path, help="keeps the runs with local and Ray")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without stopping the cluster
    _install()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        shutil.rmtree(folder / "slurm", ignore_errors=True)
        if not (folder / "cross.zarr").exists():
            config = SimulationConfig(n_samples=300, n_loci=60, n_traits=2, n_causal=8)
            save_panel(simulate(config)[0], folder / "cross.zarr")
        (folder / "slurm.toml").write_text(EXPERIMENT.format(epochs=options.epochs))
        others = ["ray"] if importlib.util.find_spec("ray") else []
        for executor in ("local", *others):
            _end_well(_run(folder, executor), folder, executor)
        stack.enter_context(_cluster())
        refused = _run(folder, "nowhere", "--executor", "slurm", "--set", "slurm.partition=nowhere")
        refusal = f"{(folder / 'nowhere.log').read_text()}" if refused.wait() == 2 else "NO"
        start = time.monotonic()
        driver = _run(folder, "slurm")
        preempted = _preempt(folder, driver)
        finished = _written(folder)
        driver.kill()
        driver.wait()
        killed = time.monotonic() - start
        states = _states()
        dead = _drivers(folder)
        driver = _run(folder, "slurm")
        _wait_for(lambda: bool(_drivers(folder) - dead), driver)
        visit = _visit(folder)
        _wait_for(lambda: _went_on(folder, preempted), driver)
        _end_well(driver, folder, "slurm")
        ended = time.monotonic() - start
        submissions = len(list((folder / "slurm" / "slurm" / "jobs").glob("*_submission.sh")))
        untouched = all(_written(folder).get(file) == at for file, at in finished.items())
        resumed = all(0 < one.left_at < one.went_on_at for one in preempted)
        same = {name: _numbers(folder / name) for name in ("local", "slurm", *others)}
        n_runs, n_metrics = _sizes(folder / "local")
    equal = {name: numbers == same["local"] for name, numbers in same.items() if name != "local"}
    running = sum(state == "RUNNING" for state in states.values())
    rows = [("a partition that does not exist", f"`{refusal.strip()}`, exit code 2")]
    for how, one in zip(("requeued", "sent SIGTERM"), preempted, strict=True):
        told = f"left after epoch {one.left_at} of {options.epochs}"
        rows.append((f"network {how}", f"{told}, told epoch {one.went_on_at} next"))
    rows += [
        ("driver killed after", f"{killed:.0f} s"),
        ("runs finished by then", f"{len({file.parent for file in finished})} of {n_runs}"),
        ("jobs left by then", f"{running} running, {len(states) - running} waiting"),
        ("third driver, beside the second, ended by Ctrl-C", visit),
        ("second driver ended after", f"{ended:.0f} s, exit code 0"),
        ("job arrays submitted by all three", str(submissions)),
        ("finished runs trained again", "none" if untouched else "SOME"),
    ]
    for name, ok in equal.items():
        what = f"{n_metrics} metrics of {n_runs} runs, predictions, leaderboard: {name}"
        rows.append((what, f"{'' if ok else 'NOT '}bit for bit those of local"))
    table = "\n".join(
        [f"| {_version()}, one node of two CPUs | |", "|---|---|"]
        + [f"| {what} | {found} |" for what, found in rows]
    )
    print(table)
    if options.epochs == EPOCHS:
        text = (
            f"# Jobs of a Slurm cluster are preempted, and its driver dies\n\n{__doc__}\n{table}\n"
        )
        write_text(Path(__file__).with_suffix(".md"), text)
    left_alone = visit.startswith("exit code 130, ") and visit.endswith("none cancelled")
    return 0 if all(equal.values()) and untouched and resumed and left_alone else 1


def _install() -> None:
    """Install Slurm where it is missing; root may."""
    if all(shutil.which(daemon, path=PATH) for daemon in DAEMONS):
        return
    if os.geteuid() != 0:
        sys.exit("Slurm is not installed: apt-get install munge slurm-wlm")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "munge", "slurm-wlm"]
    subprocess.run(command, check=True, env=environment)


@contextmanager
def _cluster() -> Iterator[None]:
    """Start a cluster of this machine alone; stop what was started."""
    host = platform.node().partition(".")[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # munge wants its socket to be within everyone's reach
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        conf = folder / "slurm.conf"
        conf.write_text(
            CONFIGURATION.format(
                host=host, user=getpass.getuser(), folder=folder, ports=[_port(), _port()]
            )
        )
        os.environ["SLURM_CONF"] = str(conf)
        places = {"key-file": key, "socket": folder / "munge.socket"}
        places |= {name: folder / f"munge.{name}" for name in ("log-file", "pid-file", "seed-file")}
        options = [f"--{name}={path}" for name, path in places.items()]
        for command in (
            ["munged", "--foreground", *options],
            ["slurmctld", "-D"],
            ["slurmd", "-D"],
        ):
            daemon = _start(command, folder / f"{command[0]}.out")
            stack.callback(_stop, daemon)
            if command[0] == "munged":
                _wait_for((folder / "munge.socket").exists, daemon)
        _wait_for(lambda: "idle" in _ask("sinfo", "--noheader", "--format=%T"), daemon)
        try:
            yield
        finally:
            # Before the daemons stop: jobs that a failure leaves would outlive them.
            _ask("scancel", f"--user={getpass.getuser()}")
            _wait_for(lambda: not _states(), daemon)


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("w") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "PATH": PATH})


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _version() -> str:
    found = subprocess.run(
        ["slurmctld", "-V"], capture_output=True, text=True, env={**os.environ, "PATH": PATH}
    )
    return found.stdout.strip()


def _waits(job: str) -> bool:
    return _states().get(job) == "PENDING"


def _states() -> dict[str, str]:
    """Return the states of the jobs that have not ended, by their numbers."""
    lines = _ask("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
    return dict(line.split() for line in lines)


def _run(folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    options = options or ("--executor", name)
    command = [sys.executable, "-m", "crosstrait.cli", "run", str(folder / "slurm.toml")]
    return _start([*command, "--out", str(folder / name), *options], folder / f"{name}.log")


def _end_well(run: subprocess.Popen[bytes], folder: Path, name: str) -> None:
    if run.wait() != 0:
        sys.exit(f"the run with {name} failed: {(folder / f'{name}.log').read_text()}")


def _preempt(folder: Path, driver: subprocess.Popen[bytes]) -> list[Preempted]:
    """Make two networks leave in the middle, one after the other."""
    shared = folder / "slurm" / "slurm"
    left: list[Preempted] = []

    def told() -> list[str]:
        names = {path.stem for path in shared.glob("epochs/canonical-*.json")}
        return sorted(n for n in names - {one.name for one in left} if _epoch(shared, n) > 4)

    for command in (["scontrol", "requeue"], ["scancel", "--signal=TERM"]):
        _wait_for(lambda: bool(told()), driver)
        name = told()[0]
        job = json.loads((shared / "submitted" / f"{name}.json").read_text())["job"]
        one = Preempted(name=name, job=job)
        with subprocess.Popen([*command, job]) as telling:
            _wait_for(partial(_waits, job), driver)
            telling.kill()  # scancel sends its signal again and again
        one.left_at = _epoch(shared, name)
        # Slurm would wait for two minutes.
        _ask("scontrol", "update", f"JobId={job}", "StartTime=now")
        left.append(one)
    return left


def _drivers(folder: Path) -> set[str]:
    """Return the drivers that have said what they wait for, and have not left."""
    return {path.stem for path in (folder / "slurm" / "slurm" / "drivers").glob("*.json")}


def _visit(folder: Path) -> str:
    """Give the command once more and end it; say what became of the jobs."""
    there = _drivers(folder)
    visitor = _run(folder, "slurm")
    _wait_for(lambda: bool(_drivers(folder) - there), visitor)
    before = set(_states())
    visitor.send_signal(signal.SIGINT)
    code = visitor.wait()
    ended = before - set(_states())
    logs = [folder / "slurm" / "slurm" / "jobs" / f"{job}_0_log.err" for job in ended]
    cancelled = [log for log in logs if not log.exists() or "CANCELLED" in log.read_text()]
    return f"exit code {code}, {len(before)} jobs before, {len(cancelled) or 'none'} cancelled"


def _went_on(folder: Path, preempted: list[Preempted]) -> bool:
    """Note the first epochs that the networks tell of after they have left."""
    for one in preempted:
        told = _epoch(folder / "slurm" / "slurm", one.name)
        if not one.went_on_at and told not in (0, one.left_at):
            one.went_on_at = told
    return all(one.went_on_at for one in preempted)


def _epoch(shared: Path, name: str) -> int:
    """Return the latest epoch that a network told of; 0 if there is none."""
    try:
        [told] = json.loads((shared / "epochs" / f"{name}.json").read_text())
    except FileNotFoundError:
        return 0
    return int(told["epoch"])


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for a condition, or for the end of the process that is to bring it about."""
    while not condition() and process.poll() is None:
        time.sleep(0.1)


def _written(folder: Path) -> dict[Path, int]:
    """Return when the files of finished runs were written."""
    done = [path.parent for path in folder.glob("slurm/runs/[a-z]*/DONE")]
    return {path: path.stat().st_mtime_ns for each in done for path in each.iterdir()}


def _numbers(out: Path) -> tuple[dict[str, bytes], bytes, bytes]:
    """Return everything that must not differ, exactly."""
    metrics = {path.parent.name: path.read_bytes() for path in out.glob("runs/*/metrics.csv")}
    cells = pd.read_parquet(out / "predictions.parquet")
    board = pd.read_csv(out / "leaderboard.csv").drop(columns="train_seconds")
    return metrics, cells.to_csv().encode(), board.to_csv().encode()


def _sizes(out: Path) -> tuple[int, int]:
    """Return how many runs and metrics there are."""
    tables = [pd.read_csv(path) for path in out.glob("runs/*/metrics.csv")]
    return len(tables), sum(len(table) for table in tables)


if __name__ == "__main__":
    sys.exit(main())
