"""Starting the processes that train one network on several devices of this machine.

Each is a Python of its own that reads its job from a folder, so that it can be started from a
script, a notebook, the command line or a worker alike, and nothing is pickled. What they leave is
the checkpoint of a training that has ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import crosstrait
from crosstrait import errors
from crosstrait.errors import CrosstraitError, LostError, not_written
from crosstrait.models.base import ModelConfig
from crosstrait.training.checkpoint import CheckpointFile, State, under
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import narrowed
from crosstrait.training.member import Member, MemberTask
from crosstrait.training.network import CHECKPOINT_SECONDS, Outcome, measured_rows
from crosstrait.training.preparation import Prepared
from crosstrait.training.progress import EpochDone, Progress

JOB, EPOCHS, ERROR = "job.json", "epochs.jsonl", "error-{}.json"
_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 1.0
_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTask:
    """A network that is to be trained, and where the state of its training is kept."""

    task: MemberTask
    checkpoint: CheckpointFile


def train_together(
    tasks: Sequence[JointTask],
    config: ModelConfig,
    train_config: TrainConfig,
    prepared: Prepared,
    *,
    device_type: str,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Train networks one after another, each on ``train_config.devices`` devices together.

    Trainings that have ended are not repeated, others go on from their checkpoints, whatever the
    number of devices was.

    Parameters
    ----------
    tasks
        The networks; all of them are of ``config``.
    config, train_config, prepared
        The model, how it is trained, and on what.
    device_type
        ``cuda``: one GPU a process. ``cpu``: the threads of this process, shared out.
    progress
        Called after each epoch of each network.

    Returns
    -------
    list of Outcome
        One a task, in their order.

    Raises
    ------
    LostError
        If a process ended before its time, or the data could not be copied for them to TMPDIR; the
        last checkpoints stay.
    """
    waiting = [joint for joint in tasks if not _ended(joint.checkpoint.load(), train_config)]
    if waiting:
        with tempfile.TemporaryDirectory(prefix="crosstrait-") as name:
            folder = Path(name)
            try:
                _write_job(folder, waiting, config, train_config, prepared, device_type)
            except OSError as error:  # which may stop this training alone
                raise LostError(
                    f"the data for {train_config.devices} devices could not be written to "
                    f"{folder}: {not_written(error)}; TMPDIR names another folder"
                ) from None
            commands = [
                [sys.executable, "-m", "crosstrait.training.rank", name, str(rank)]
                for rank in range(train_config.devices)
            ]
            with _started(commands, folder) as processes:
                _follow(processes, folder, progress)
    return [_outcome(joint, train_config, prepared) for joint in tasks]


def _write_job(
    folder: Path,
    tasks: Sequence[JointTask],
    config: ModelConfig,
    train_config: TrainConfig,
    prepared: Prepared,
    device_type: str,
) -> None:
    arrays = {
        "X": narrowed(prepared.X),
        "X_validation": narrowed(prepared.X_validation),
        "Y": prepared.Y,
        "Y_validation": prepared.Y_validation,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    job = {
        "model": config.model_dump(mode="json"),
        "train": train_config.model_dump(mode="json"),
        "one_a_trait": prepared.one_a_trait,
        "device_type": device_type,
        "checkpoint_seconds": CHECKPOINT_SECONDS,
        "threads": max(1, torch.get_num_threads() // train_config.devices),
        "tasks": [
            {
                "seed": joint.task.seed,
                "traits": joint.task.traits,
                "name": joint.task.name,
                "folder": str(joint.checkpoint.folder.absolute()),
                "key": joint.checkpoint.key,
            }
            for joint in tasks
        ],
    }
    (folder / JOB).write_text(json.dumps(job))


@contextmanager
def _started(
    commands: Sequence[list[str]], folder: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start a process a command; whatever is left of them at the end of the block is killed."""
    package = Path(crosstrait.__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    with ExitStack() as stack:
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_kill, processes)
        for rank, command in enumerate(commands):
            log = stack.enter_context(_log(folder, rank).open("wb"))
            ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(len(commands))}
            processes.append(
                subprocess.Popen(
                    command,
                    env=os.environ | ranks | {"PYTHONPATH": path},
                    # Held open as long as this process lives, which is how they know.
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C in a terminal is for this process to answer.
                    process_group=0,
                )
            )
        yield processes


def _follow(
    processes: Sequence[subprocess.Popen[bytes]], folder: Path, progress: Progress | None
) -> None:
    """Tell what the first process tells, until all have ended.

    Raises
    ------
    CrosstraitError
        What one of them raised.
    LostError
        If one ended otherwise.
    """
    n_told = 0
    while True:
        codes = [process.poll() for process in processes]
        if progress is not None and (folder / EPOCHS).is_file():
            lines = (folder / EPOCHS).read_text().split("\n")[:-1]  # the last is not whole yet
            for line in lines[n_told:]:
                progress(EpochDone(**json.loads(line)))
            n_told = len(lines)
        if any(codes):
            raise _reason(processes, folder)
        if all(code == 0 for code in codes):
            return
        time.sleep(_LOOK_SECONDS)


def _reason(processes: Sequence[subprocess.Popen[bytes]], folder: Path) -> CrosstraitError:
    """Return what the process that failed first failed of; the others then fail for want of it."""
    first = {rank for rank, process in enumerate(processes) if process.poll()}
    time.sleep(_GRACE_SECONDS)
    codes = {rank: code for rank, process in enumerate(processes) if (code := process.poll())}
    told = {rank: folder / ERROR.format(rank) for rank in codes}
    rank = min(codes, key=lambda r: (not told[r].is_file(), codes[r] > 0, r not in first, r))
    code = codes[rank]
    if told[rank].is_file():
        values = json.loads(told[rank].read_text())
        kind: type[CrosstraitError] = getattr(errors, values["kind"])
        return kind(values["message"])
    log = _log(folder, rank).read_text(errors="replace").strip()
    if code < 0:
        why = f"was killed by {signal.Signals(-code).name}; is there enough memory?"
    else:
        why = f"ended with exit code {code}: {log.splitlines()[-1] if log else 'it said nothing'}"
    error = LostError(f"process {rank} of those that train together {why}")
    error.add_note(log)
    return error


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        with process:
            process.wait()


def _log(folder: Path, rank: int) -> Path:
    return folder / f"log-{rank}.txt"


def _ended(state: State | None, config: TrainConfig) -> bool:
    if state is None:
        return False
    stopped = all(member["stopped"] for member in state.values["members"])
    return stopped or bool(state.values["epoch"] >= config.max_epochs)


def _outcome(joint: JointTask, config: TrainConfig, prepared: Prepared) -> Outcome:
    """Read what a training that has ended left."""
    state = joint.checkpoint.load()
    if state is None or not _ended(state, config):
        raise LostError(
            f"the checkpoint {joint.checkpoint.path} of a training on {config.devices} devices is "
            f"not that of its end; something else writes to {joint.checkpoint.folder}"
        )
    rows = measured_rows(torch.from_numpy(prepared.Y), joint.task)
    member = Member(joint.task, config, rows=rows, device=_CPU)
    member.load_result(under("0.", state.tensors), state.values["members"][0])
    network = member.finish()
    return Outcome(
        task=joint.task,
        network=network,
        history=member.history,
        failure=member.failure,
        seconds=state.values["seconds"],
    )
