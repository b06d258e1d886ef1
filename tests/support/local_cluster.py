"""A cluster of this machine: submitit's local executor, whose jobs are processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from submitit import LocalExecutor, LocalJob

from crosstrait.experiments.engines.slurm_job import SlurmJob

_STATES = {"RUNNING": "RUNNING", "FINISHED": "COMPLETED", "INTERRUPTED": "FAILED"}


class LocalCluster:
    """Starts every job at once, and again where it asks for that.

    Jobs whose name starts with ``doomed`` are killed as soon as they are there.
    """

    def __init__(self) -> None:
        self.doomed: str | None = None
        self.jobs: dict[str, LocalJob[None]] = {}
        self.stopped: list[str] = []
        self.arrays: list[tuple[int, list[str]]] = []

    def submit(
        self, jobs: Sequence[SlurmJob], *, folder: Path, at_once: int | None, gpus: int
    ) -> list[str]:
        self.arrays.append((gpus, [_task(job) for job in jobs]))
        executor = LocalExecutor(folder=folder)
        executor.update_parameters(timeout_min=60)
        # Elsewhere jobs are no children of the driver, and hear signals whatever it holds back.
        held = signal.pthread_sigmask(signal.SIG_SETMASK, [])
        submitted = [executor.submit(job) for job in jobs]
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        self.jobs |= {job.job_id: job for job in submitted}
        for job, process in zip(jobs, submitted, strict=True):
            if self.doomed is not None and job.ticket.startswith(self.doomed):
                os.kill(_child(process.job_id), signal.SIGKILL)
        return [job.job_id for job in submitted]

    def states(self, jobs: Sequence[str]) -> Mapping[str, str]:
        return {
            name: "CANCELLED" if name in self.stopped else _STATES[self.jobs[name].state]
            for name in jobs
            if name in self.jobs
        }

    def cancel(self, jobs: Sequence[str]) -> bool:
        for name in jobs:
            self.stopped.append(name)
            self.jobs[name].cancel()
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process of the last job that was submitted."""
        *_, name = self.jobs
        os.kill(_child(name), number)

    def close(self) -> None:
        """Wait until no process is left."""
        for job in self.jobs.values():
            if job.state == "RUNNING":
                job.cancel()
            while job.state == "RUNNING":
                time.sleep(0.05)


def _task(job: SlurmJob) -> str:
    """Return the name of a job's task."""
    return job.ticket.rpartition("-")[0]


def _child(pid: str) -> int:
    """Wait for the process that a job's own process starts, and return its id."""
    children: list[str] = []
    while not children:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])
