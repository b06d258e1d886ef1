"""What runs on a node of a Slurm cluster: one task, and leaving with a checkpoint when asked to."""

from __future__ import annotations

import importlib
import os
import platform
import signal
import subprocess
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from crosstrait.errors import SettingsError
from crosstrait.experiments.engines.engine import Outcome, carry_out
from crosstrait.experiments.engines.epochs import EpochFile
from crosstrait.experiments.engines.processors import Share, take
from crosstrait.experiments.engines.slurm_folder import SlurmFolder
from crosstrait.experiments.interrupt import Interrupted

# Slurm kills 30 s after it asked, unless it is configured otherwise.
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """A job as submitit pickles it: two texts and a number.

    The pickle lies in a folder that is the user's alone, is written by submitit on one machine of
    the cluster and read by submitit on another; crosstrait reads none. The task itself is JSON.

    Attributes
    ----------
    runs
        The folder ``runs`` of the experiment.
    ticket
        What its task and its outcome are filed under.
    threads
        Of its trainings.
    """

    runs: str
    ticket: str
    threads: int

    def __call__(self) -> None:
        """Carry out the task, or leave it to be gone on with."""
        requests = _Requests()
        folder = SlurmFolder(Path(self.runs))
        outcome: Outcome | Exception
        try:
            try:
                outcome = self._carry_out(folder)
            except (Interrupted, SystemExit):
                if not requests.made:
                    raise
                requests.close()
                if _is_running():
                    requests.requeue()
                # Slurm itself ends the job, or has requeued it.
                raise SystemExit(128 + signal.SIGTERM) from None
        except Exception as error:
            traceback.print_exc()
            outcome = error
        requests.close()
        folder.settle(self.ticket, outcome)

    def checkpoint(self) -> Any:
        """Return what is to be called when the job goes on; the name is submitit's."""
        return importlib.import_module("submitit.core.utils").DelayedSubmission(self)

    def _carry_out(self, folder: SlurmFolder) -> Outcome:
        take(Share(threads=self.threads))
        task, at = folder.open(self.ticket, here=f"node {platform.node()}")
        return carry_out(task, at=at, listener=EpochFile(folder.epochs), wait=False)


class _Requests:
    """Asks the training to stop on SIGTERM and on the signal that announces the end of the time.

    A network that is in training saves its state between two steps and ends with SystemExit;
    everything else, and a step that takes too long, is left by `Interrupted` where it stands.
    """

    def __init__(self) -> None:
        environment = importlib.import_module("submitit").JobEnvironment()
        self.made = False
        self._number = environment._usr_sig()
        # Submitit's own answer: it counts how often the time ran out, and requeues the job.
        self._requeue: Any = signal.getsignal(self._number)
        for number in (signal.SIGTERM, self._number):
            signal.signal(number, self._make)
        signal.signal(signal.SIGALRM, self._insist)

    def close(self) -> None:
        """Hear nothing more."""
        self.made = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def requeue(self) -> None:
        """Leave, and be started again later.

        Raises
        ------
        SettingsError
            If the time ran out too often.
        """
        try:
            self._requeue(self._number, None)
        except RuntimeError as error:
            raise SettingsError(f"{error} Raise [slurm] minutes") from None

    def _make(self, number: int, _: FrameType | None) -> None:
        if self.made:
            return
        self.made = True
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS)
        if signal.getsignal(signal.SIGTERM) == self._make:
            raise Interrupted(number)
        # Lightning is training: it has put its own handler before this one.
        if number != signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)

    def _insist(self, number: int, _: FrameType | None) -> None:
        raise Interrupted(number)


def _is_running() -> bool:
    """Whether the job would go on if it stayed: a signal alone does not end it."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return True
    command = ["scontrol", "show", "job", "--oneliner", job]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return shown.returncode != 0 or "JobState=RUNNING" in shown.stdout
