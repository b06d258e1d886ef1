"""The ``[slurm]`` table of an experiment file: what a cluster is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, field_validator

from crosstrait.settings import Settings

# Options of sbatch that crosstrait sets itself.
_OWN = {
    *("array", "chdir", "cpus-per-task", "error", "gpus", "gpus-per-node", "gres", "job-name"),
    *("nodes", "no-requeue", "ntasks", "ntasks-per-node", "open-mode", "output", "requeue"),
    *("signal", "wrap"),
}
# Those that have a setting of their own.
_SETTINGS = {"account": "account", "mem": "memory_gb", "partition": "partition", "time": "minutes"}
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_WORD = r"^[^\s]+$"


class SlurmConfig(Settings):
    """What each job of an experiment asks Slurm for; none of it is in a run key.

    Attributes
    ----------
    partition, account
        Where the jobs wait and who pays; the cluster's defaults where not given.
    minutes
        Time limit of a job. One that is not done then leaves with a checkpoint and goes on as the
        same job, three times at most.
    memory_gb
        Memory of a job in GiB; the cluster's default where not given.
    gpu
        Whether a network gets a GPU, or the type of GPU that it gets, as in ``"a100"``.
    flags
        Further options of sbatch by their long names without dashes, as in
        ``{ constraint = "icelake", exclusive = true }``.
    """

    partition: str | None = Field(default=None, pattern=_WORD)
    account: str | None = Field(default=None, pattern=_WORD)
    minutes: int = Field(default=240, ge=1)
    memory_gb: float | None = Field(default=None, gt=0)
    gpu: bool | str = False
    flags: Mapping[str, bool | int | str] = Field(default_factory=dict)

    @field_validator("gpu")
    @classmethod
    def _is_a_type(cls, value: bool | str) -> bool | str:
        if isinstance(value, str) and not re.fullmatch(r"[\w.-]+", value):
            raise ValueError('true, false, or the name of a type of GPU, such as "a100"')
        return value

    @field_validator("flags")
    @classmethod
    def _are_options(cls, flags: Mapping[str, bool | int | str]) -> Mapping[str, bool | int | str]:
        for name, value in flags.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no option of sbatch; write it as in sbatch --help")
            if name in _OWN:
                raise ValueError(f"{name} is set by crosstrait")
            if name in _SETTINGS:
                raise ValueError(f"{name} has a setting of its own: {_SETTINGS[name]}")
            if value is False or (isinstance(value, str) and not value.isprintable()):
                raise ValueError(f"{name} = {value!r}: true, a number or a text of one line")
        return flags
