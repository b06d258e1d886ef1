"""Blocks of attention scores that stay in a core's cache, and the cores that go through them."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from crosstrait.models.products import product

LOG2_E = math.log2(math.e)
"""exp(s) is computed as exp2(s * LOG2_E), which is several times as fast on a CPU."""

_FEWEST_LOCI = 256  # with fewer, PyTorch's fused attention is as fast
_BLOCK = 2**19  # scores: 2 MB of float32, about a second-level cache
_SAFE_SCORE = 60.0  # exp2 of this, summed over any number of loci, is far from overflow
_MOST_THREADS = 16  # beyond, Python's lock costs more than another core brings


class Part(NamedTuple):
    """The work of one core: a head (of all members, counted through) and a share of its samples."""

    head: int
    share: int
    samples: range


def in_blocks(tokens: Tensor, n_loci: int) -> bool:
    """Whether attention over this many loci is to go in blocks of our own."""
    plain = tokens.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return plain and n_loci >= _FEWEST_LOCI


def row_blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Yield blocks of rows, about equal, each of whose ``width`` values fit a cache."""
    step = -(-n_rows // -(-(n_rows * width) // _BLOCK))
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


def parts_of_threads(n_heads: int, n_samples: int) -> list[Part]:
    """Cut the work so that every thread has a share."""
    shares = -(-min(torch.get_num_threads(), _MOST_THREADS) // n_heads)
    shares = min(shares, n_samples)
    cuts = [n_samples * i // shares for i in range(shares + 1)] if shares else []
    samples = [range(*cut) for cut in pairwise(cuts)]
    return [Part(h, *share) for h in range(n_heads) for share in enumerate(samples)]


def on_threads(work: Callable[[Part], None], parts: Sequence[Part]) -> None:
    """Do the work of every part, each on one core, without gradients.

    PyTorch's own threads meet after every operation, which costs as much as the operation when
    it is on a block; here each core goes through its parts alone.
    """
    threads = torch.get_num_threads()
    n = min(threads, len(parts), _MOST_THREADS)

    def alone(own: Sequence[Part]) -> None:
        torch.get_num_threads()  # makes a new thread take over the number set below
        with torch.no_grad():  # new threads start with gradients on
            for part in own:
                work(part)

    if n <= 1:
        alone(parts)
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n - 1) as pool:
            others = [pool.submit(alone, parts[i::n]) for i in range(1, n)]
            alone(parts[::n])
            for done in others:
                done.result()
    finally:
        torch.set_num_threads(threads)


def accumulators(parts: Sequence[Part], *wholes: Tensor) -> list[Tensor]:
    """Return zeros of (shares, *whole.shape), so that no two parts add to the same place."""
    shares = 1 + max((part.share for part in parts), default=0)
    return [whole.new_zeros(shares, *whole.shape) for whole in wholes]


def collected(sums: Sequence[Tensor]) -> list[Tensor]:
    """Return what all parts have added to `accumulators`."""
    return [own[0] if len(own) == 1 else own.sum(0) for own in sums]


def needs_shift(largest_score: Tensor) -> bool:
    """Whether rows of scores must have their maximum taken off before exp2."""
    return not float(largest_score) < _SAFE_SCORE


def exp2_(scores: Tensor, *, shift: bool) -> Tensor:
    """Replace scores by exp2 of them, in place, up to a factor a row."""
    if shift:
        scores.sub_(scores.amax(dim=-1, keepdim=True))
    return torch.exp2(scores, out=scores)


def empty_apart(like: Tensor) -> Tensor:
    """Return an uninitialised contiguous tensor like this one, in a memory mapping of its own.

    What is as large as a batch of tokens goes back to the system when it is freed. From the heap
    it would leave a hole, which the C library does not fill with aligned memory of equal size.
    """
    if not like.numel():
        return torch.empty_like(like)
    mapping = mmap.mmap(-1, like.numel() * like.element_size())
    return torch.frombuffer(mapping, dtype=like.dtype).view(like.shape)


class Scores:
    """The scores of one sample's queries and keys (L, d), to the base 2.

    Attributes
    ----------
    query
        The queries times ``scale * LOG2_E``.
    key
        The keys.
    """

    def __init__(self, query: Tensor, key: Tensor, scale: float) -> None:
        self.query = query * (scale * LOG2_E)
        self.key = key.contiguous()
        longest = [units.square().sum(-1).amax().sqrt() for units in (self.query, self.key)]
        self._shift = needs_shift(longest[0] * longest[1])

    def weights(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield the softmax numerators (Q, L) of one block of queries after the other."""
        for queries in row_blocks(len(self.query), len(self.key)):
            # Nothing here holds a block longer than whoever asked for it.
            yield queries, exp2_(product(self.query[queries], self.key.mT), shift=self._shift)
