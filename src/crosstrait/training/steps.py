"""What the steps of an epoch did, kept on the device until the epoch is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class StepRecord:
    """Loss, measured cells and learning rate of each step (rows) of each member (columns).

    Read once an epoch, so that no step waits for the device.
    """

    def __init__(self, n_steps: int, n_members: int, *, device: torch.device) -> None:
        shape = (n_steps, n_members)
        self._loss = torch.zeros(shape, device=device)
        self._cells = torch.zeros(shape, device=device)
        self._rate = np.zeros(shape)

    def write(
        self,
        step: int,
        members: Sequence[int],
        *,
        loss: Tensor,
        cells: Tensor,
        rates: Sequence[float],
    ) -> None:
        """Note a step: ``loss``, ``cells`` and ``rates`` (A,) of ``members``."""
        # A list would be copied to the device at every step.
        columns: Any = slice(None) if len(members) == self._loss.shape[1] else members
        self._loss[step, columns] = loss
        self._cells[step, columns] = cells.float()
        self._rate[step, members] = rates

    def losses(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return losses and cells, both (steps, members)."""
        return self._loss.double().cpu().numpy(), self._cells.double().cpu().numpy()

    def rate(self, step: int, member: int) -> float:
        """Return the learning rate of a step."""
        return float(self._rate[step, member])

    def state(self) -> dict[str, Tensor]:
        """Return tensors from which `load_state` goes on."""
        return {"loss": self._loss, "cells": self._cells, "rate": torch.from_numpy(self._rate)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self._loss.copy_(state["loss"])
        self._cells.copy_(state["cells"])
        self._rate[:] = state["rate"].numpy()
