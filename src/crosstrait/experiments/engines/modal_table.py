"""The ``[modal]`` table of an experiment file: what Modal is asked for."""

from __future__ import annotations

from pydantic import Field

from crosstrait.settings import Settings

_DAY = 24 * 60


class ModalConfig(Settings):
    """What the containers of an experiment have; none of it is in a run key.

    A container has as many CPUs as ``[train] threads`` says.

    Attributes
    ----------
    gpu
        The GPU of a container that trains a network, by Modal's name for it, such as ``"H100"`` or
        ``"L4"``, or several as in ``"A100:2"``; none where not given. Models that are no networks
        never get one.
    memory_gb
        Memory of a container in GiB; what the panel needs where not given.
    minutes
        Time limit of one try. A training that is not done then goes on from its checkpoint in a
        new container, three times at most.
    """

    gpu: str | None = Field(default=None, pattern=r"^[\w.!+-]+(:\d+)?$")
    memory_gb: float | None = Field(default=None, gt=0)
    minutes: int = Field(default=_DAY, ge=1, le=_DAY)
