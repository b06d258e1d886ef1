"""The processes that train one network together, each on its share of every batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it


@dataclass(frozen=True, kw_only=True)
class Processes:
    """What one of ``count`` processes has to know of the others; alone where not given.

    All hold the same samples and the same network. Of a batch each computes the part that
    `share` cuts out, and whatever decides anything afterwards is the same everywhere.

    Attributes
    ----------
    rank
        The number of this process, from 0.
    count
        How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return this process's part of the rows (M, B) and the targets (M, B, T) of a batch.

        Shares have equal sizes, so that all processes do the same steps: where a batch does not
        divide, the last ones are filled up with samples whose cells do not count.
        """
        if self.count == 1:
            return rows, target
        size = -(-rows.shape[1] // self.count)
        filling = size * self.count - rows.shape[1]
        own = slice(self.rank * size, (self.rank + 1) * size)
        rows = F.pad(rows, (0, filling))
        target = F.pad(target, (0, 0, 0, filling), value=torch.nan)
        return rows[:, own], target[:, own]

    def total(self, own: Tensor) -> Tensor:
        """Return the sum of what each process has; the same in all of them."""
        if self.count > 1:
            dist.all_reduce(own)
        return own

    def agree(self, value: NDArray[np.float64], *, device: torch.device) -> NDArray[np.float64]:
        """Return the first process's numbers, so that nothing is decided by a last digit."""
        if self.count == 1:
            return value
        sent = torch.from_numpy(value).to(device)
        dist.broadcast(sent, src=0)
        return sent.cpu().numpy()

    def seed_of_step(self, seed: int, *, epoch: int, step: int) -> int:
        """Return what this process draws the dropout masks of a step from.

        Nothing is carried from step to step, so a training that was interrupted needs nothing
        from any process but the first to go on as it would have.
        """
        words = np.random.SeedSequence([seed, epoch, step, self.rank]).generate_state(2)
        return int(words[0]) << 32 | int(words[1])
