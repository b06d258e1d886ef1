"""Compiling the passes of a network, where that saves time."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from crosstrait.models.members import Dropout, MemberNetwork, Named, run_members

# Compiling takes from half a minute to minutes, a step of a large model tens of milliseconds.
_FEWEST_STEPS = 2000


def worth_compiling(network: torch.nn.Module, *, device: torch.device, n_steps: int) -> bool:
    """Return whether a training of ``n_steps`` is to be compiled.

    On a GPU for which Triton and a C compiler are installed, if it is long enough. Networks with
    dropout stay as they are: each of their members draws from a generator of its own, which
    cannot be compiled.
    """
    if device.type != "cuda" or n_steps < _FEWEST_STEPS:
        return False
    if not isinstance(network, MemberNetwork) or network.dropout > 0:
        return False
    return torch.utils._triton.has_triton() and _has_c_compiler()


class CompiledMembers:
    """`models.members.run_members`, compiled at the first call and again for other shapes.

    Where the compiler fails, one warning tells so, and the passes run as they are written.
    """

    def __init__(self, *, backend: str | Callable[..., Any] = "inductor") -> None:
        self._run: Any = torch.compile(run_members, backend=backend)

    def __call__(
        self, network: MemberNetwork, parameters: Sequence[Named], X: Tensor, drop: Dropout
    ) -> Tensor:
        """Return the outputs (M, B, T)."""
        try:
            made: Tensor = self._run(network, parameters, X, drop)
        except torch._dynamo.exc.TorchDynamoException as failed:
            if self._run is run_members:
                raise
            reason = " ".join(str(failed).split("\n")[:2])
            warnings.warn(
                f"torch could not compile {type(network).__name__}, which trains on without "
                f"(TORCH_COMPILE_DISABLE=1 does not try): {reason}",
                stacklevel=2,
            )
            self._run = run_members
            return run_members(network, parameters, X, drop)
        return made


def _has_c_compiler() -> bool:
    """Return whether Triton finds what it builds its launchers with."""
    return "CC" in os.environ or any(shutil.which(name) for name in ("gcc", "clang", "cc"))
