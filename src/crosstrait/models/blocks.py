"""Attention in blocks of scores that stay in a core's cache, each core with its own samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

LOG2_E = math.log2(math.e)
"""exp(s) is computed as exp2(s * LOG2_E), which is several times as fast on a CPU."""

_BLOCK = 2**18  # scores in a block: 1 MB of float32, a common second-level cache
_MOST_THREADS = 16  # beyond, Python's lock costs more than another core brings
_SAFE_SCORE = 60.0  # exp2 of this, summed over any number of loci, is far from overflow

Part = TypeVar("Part")
Result = TypeVar("Result")


def slices(total: int, step: int) -> Iterator[slice]:
    """Yield the slices of ``step`` (the last one may be shorter) that cover ``total``."""
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))


def samples_of_threads(n_heads: int, n_samples: int) -> list[slice]:
    """Cut the samples so that every thread has a share of the (head, samples) pairs."""
    shares = -(-min(torch.get_num_threads(), _MOST_THREADS) // n_heads)
    return list(slices(n_samples, max(1, -(-n_samples // shares))))


def on_threads(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Return ``work`` of every part, in order; each runs on one core, without gradients.

    PyTorch's own threads meet after every operation, which costs as much as the operation when
    it is on a block; here each core goes through its samples alone.
    """

    def alone(part: Part) -> Result:
        with torch.no_grad():  # new threads start with gradients on
            return work(part)

    threads = torch.get_num_threads()
    if threads == 1 or len(parts) == 1:
        return [alone(part) for part in parts]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(threads, len(parts), _MOST_THREADS)) as pool:
            return list(pool.map(alone, parts))
    finally:
        torch.set_num_threads(threads)


class Blocks:
    """Blocks of S samples x Q queries x L keys, and room for the scores of one."""

    def __init__(self, like: Tensor, n_samples: int, n_loci: int) -> None:
        self.n_samples, self.n_loci = n_samples, n_loci
        self.samples = max(1, min(n_samples, _BLOCK // n_loci**2))
        self.queries = max(1, min(n_loci, _BLOCK // n_loci))
        self._like = like
        self.scores = self.room()

    def room(self) -> Tensor:
        """Return further room for the scores of a full block; `shaped` cuts it to a block."""
        return self._like.new_empty(self.samples * self.queries * self.n_loci)

    def sample_slices(self) -> Iterator[slice]:
        """Yield the slices of samples."""
        return slices(self.n_samples, self.samples)

    def query_slices(self) -> Iterator[slice]:
        """Yield the slices of queries."""
        return slices(self.n_loci, self.queries)


def shaped(room: Tensor, *shape: int) -> Tensor:
    """Return the beginning of some room as a contiguous tensor."""
    return room[: math.prod(shape)].view(shape)


def needs_shift(largest_score: float) -> bool:
    """Whether rows of scores must have their maximum taken off before exp2."""
    return not largest_score < _SAFE_SCORE


def exp2_(scores: Tensor, *, shift: bool) -> Tensor:
    """Replace scores by exp2 of them, in place, up to a factor a row."""
    if shift:
        scores.sub_(scores.amax(dim=-1, keepdim=True))
    return torch.exp2(scores, out=scores)
