"""A Slurm cluster as the engine sees it: jobs are submitted, asked after and cancelled.

Submission is submitit's. Job states come from squeue, as sacct needs an accounting service that
not every cluster has.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crosstrait.errors import SettingsError
from crosstrait.experiments.engines.slurm_job import SlurmJob
from crosstrait.experiments.engines.slurm_table import SlurmConfig
from crosstrait.extras import require

_COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "srun")
_MOST_TIMEOUTS = 3
_ANSWER_SECONDS = 60


class Cluster(Protocol):
    """Where jobs are carried out."""

    def submit(
        self, jobs: Sequence[SlurmJob], *, folder: Path, at_once: int | None, gpus: int
    ) -> list[str]:
        """Submit ``jobs`` as one array and return what the cluster calls them.

        Parameters
        ----------
        jobs
            What to carry out.
        folder
            For submitit's files and the logs.
        at_once
            How many of them may run at once; None: all.
        gpus
            How many GPUs each wants, where the cluster is to give any.
        """

    def states(self, jobs: Sequence[str]) -> Mapping[str, str] | None:
        """Return the states of those jobs that are known; None if the cluster does not answer."""

    def cancel(self, jobs: Sequence[str]) -> bool:
        """Cancel jobs; return whether the cluster has heard it."""


def check_slurm() -> None:
    """Check that jobs can be submitted from here.

    Raises
    ------
    SettingsError
        If submitit is not installed or there is no Slurm on this machine.
    """
    require("submitit", extra="slurm", why="the executor 'slurm' needs submitit")
    absent = [command for command in _COMMANDS if shutil.which(command) is None]
    if absent:
        raise SettingsError(
            f"the executor 'slurm' needs Slurm, and there is no {absent[0]} on this machine; "
            f"start the command on a login node of the cluster"
        )


@dataclass(frozen=True, kw_only=True)
class SlurmCluster:
    """The cluster that sbatch knows.

    Attributes
    ----------
    config
        What each job asks for.
    threads
        CPUs of each job.
    """

    config: SlurmConfig
    threads: int

    def submit(
        self, jobs: Sequence[SlurmJob], *, folder: Path, at_once: int | None, gpus: int
    ) -> list[str]:
        """Submit ``jobs`` as one array and return what Slurm calls them.

        Raises
        ------
        SettingsError
            If Slurm refuses them.
        """
        submitit = importlib.import_module("submitit")
        utils = importlib.import_module("submitit.core.utils")
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=_MOST_TIMEOUTS)
        executor.update_parameters(
            job_name="crosstrait",
            partition=self.config.partition,
            account=self.config.account,
            time=self.config.minutes,
            mem=None if self.config.memory_gb is None else f"{self.config.memory_gb * 1024:.0f}M",
            gres=self._gres(gpus) if gpus else None,
            cpus_per_task=max(self.threads, gpus),
            ntasks_per_node=1,
            array_parallelism=at_once or len(jobs),
            # Since Slurm 22.05 a step does not have the CPUs of its job unless it asks for them.
            srun_args=[f"--cpus-per-task={max(self.threads, gpus)}"],
            additional_parameters={"requeue": True, **self.config.flags},
        )
        try:
            # Submitit prints what sbatch says before it raises it.
            with _as_outside_of_a_job(), redirect_stderr(io.StringIO()):
                submitted = executor.submit_array(list(jobs))
        except (utils.FailedJobError, utils.FailedSubmissionError) as error:
            lines = [line.removeprefix("sbatch: error: ") for line in str(error).splitlines()]
            said = "; ".join(line.strip() for line in lines if line.strip())
            raise SettingsError(f"Slurm refuses the jobs: {said}; see [slurm]") from None
        return [job.job_id for job in submitted]

    def states(self, jobs: Sequence[str]) -> dict[str, str] | None:
        """Return the states of those jobs that Slurm knows; None if it does not answer."""
        arrays = sorted({job.partition("_")[0] for job in jobs})
        command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T"]
        asked = _ask([*command, f"--jobs={','.join(arrays)}"])
        if asked is None or asked.returncode != 0:
            return {} if asked and "Invalid job id" in asked.stderr else None
        known = dict(line.split(maxsplit=1) for line in asked.stdout.splitlines() if line.strip())
        return {job: known[job].strip() for job in jobs if job in known}

    def cancel(self, jobs: Sequence[str]) -> bool:
        """Cancel jobs; those that have ended meanwhile stay as they are."""
        asked = _ask(["scancel", *jobs])
        return asked is not None and (asked.returncode == 0 or "Invalid job id" in asked.stderr)

    def _gres(self, gpus: int) -> str | None:
        if isinstance(self.config.gpu, str):
            return f"gpu:{self.config.gpu}:{gpus}"
        return f"gpu:{gpus}" if self.config.gpu else None


def _ask(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Return what Slurm says; None where it says nothing in time."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None


@contextmanager
def _as_outside_of_a_job() -> Iterator[None]:
    """Hide what Slurm tells this process, if it is itself in a job: sbatch would take it over."""
    before = dict(os.environ)
    if "SLURM_JOB_ID" in before:
        for name in before:
            if name.startswith(("SLURM_", "SRUN_", "SBATCH_")) and name != "SLURM_CONF":
                del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)
