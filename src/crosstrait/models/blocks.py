"""Blocks of attention scores that stay in a core's cache, and the cores that go through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from crosstrait.models.products import product

LOG2_E = math.log2(math.e)
"""exp(s) is computed as exp2(s * LOG2_E), which is several times as fast on a CPU."""

_FEWEST_LOCI = 256  # with fewer, PyTorch's fused attention is as fast
_BLOCK = 2**19  # scores: 2 MB of float32, about a second-level cache
_SAFE_SCORE = 60.0  # exp2 of this, summed over any number of loci, is far from overflow
_MOST_THREADS = 16  # beyond, Python's lock costs more than another core brings

Part = tuple[int, range]
"""A head (of all members, counted through) and the samples of a share of the work."""

Result = TypeVar("Result")


def in_blocks(tokens: Tensor, n_loci: int) -> bool:
    """Whether attention over this many loci is to go in blocks of our own."""
    plain = tokens.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return plain and n_loci >= _FEWEST_LOCI


def query_blocks(n_loci: int) -> Iterator[slice]:
    """Yield blocks of queries, about equal, whose scores over all loci fit a cache."""
    step = -(-n_loci // -(-(n_loci**2) // _BLOCK))
    for first in range(0, n_loci, step):
        yield slice(first, min(first + step, n_loci))


def parts_of_threads(n_heads: int, n_samples: int) -> list[Part]:
    """Cut the work so that every thread has a share."""
    shares = -(-min(torch.get_num_threads(), _MOST_THREADS) // n_heads)
    own = -(-n_samples // shares)
    samples = [range(n, min(n + own, n_samples)) for n in range(0, n_samples, own)]
    return [(head, part) for head in range(n_heads) for part in samples]


def on_threads(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Return ``work`` of every part, in order; each runs on one core, without gradients.

    PyTorch's own threads meet after every operation, which costs as much as the operation when
    it is on a block; here each core goes through its parts alone.
    """
    threads = torch.get_num_threads()
    n = min(threads, len(parts), _MOST_THREADS)
    shares = [parts[i::n] for i in range(n)]

    def alone(share: Sequence[Part]) -> list[Result]:
        torch.get_num_threads()  # makes a new thread take over the number set below
        with torch.no_grad():  # new threads start with gradients on
            return [work(part) for part in share]

    if n == 1:
        return alone(shares[0])
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n - 1) as pool:
            others = [pool.submit(alone, share) for share in shares[1:]]
            found = [alone(shares[0]), *(other.result() for other in others)]
    finally:
        torch.set_num_threads(threads)
    return [found[i % n][i // n] for i in range(len(parts))]


def needs_shift(largest_score: Tensor) -> bool:
    """Whether rows of scores must have their maximum taken off before exp2."""
    return not float(largest_score) < _SAFE_SCORE


def exp2_(scores: Tensor, *, shift: bool) -> Tensor:
    """Replace scores by exp2 of them, in place, up to a factor a row."""
    if shift:
        scores.sub_(scores.amax(dim=-1, keepdim=True))
    return torch.exp2(scores, out=scores)


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
        for queries in query_blocks(len(self.query)):
            scores = product(self.query[queries], self.key.mT)
            yield queries, exp2_(scores, shift=self._shift)
