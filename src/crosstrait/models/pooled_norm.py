"""A layer norm whose units are only averaged over the loci, as the last one of a transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crosstrait.models.attention import layer_norm
from crosstrait.models.blocks import (
    Part,
    accumulators,
    collected,
    empty_apart,
    in_blocks,
    on_threads,
    parts_of_threads,
)
from crosstrait.models.encoder_sample import Normed
from crosstrait.models.products import first_order


def mean_norm(tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the mean over the loci of the layer norm of the tokens.

    On a CPU the normed tokens and their gradients exist for one sample at a time.

    Parameters
    ----------
    tokens
        (M, B, L, d) for M members and B samples.
    weight, bias
        (M, d).

    Returns
    -------
    Tensor
        (M, B, d).
    """
    if not in_blocks(tokens, tokens.shape[2]):
        return layer_norm(tokens, weight, bias).mean(dim=2)
    made: Tensor = _MeanNorm.apply(tokens, weight, bias)  # type: ignore[no-untyped-call]
    return made


class _MeanNorm(torch.autograd.Function):
    """`mean_norm` on a CPU."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        M, B, _, d = tokens.shape
        out = tokens.new_empty(M, B, d)

        def average(part: Part) -> None:
            m = part.head
            for n in part.samples:
                out[m, n] = Normed(tokens[m, n], weight[m], bias[m]).units.mean(0)

        on_threads(average, parts_of_threads(M, B))
        ctx.save_for_backward(tokens, weight, bias)
        return out

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        tokens, weight, bias = ctx.saved_tensors
        M, B, L, _ = tokens.shape
        d_tokens = empty_apart(tokens)
        shares = gradient / L
        parts = parts_of_threads(M, B)
        sums = accumulators(parts, weight, bias)

        def differentiate(part: Part) -> None:
            m = part.head
            found = [whole[part.share, m] for whole in sums]
            for n in part.samples:
                normed = Normed(tokens[m, n], weight[m], bias[m])
                d_units = shares[m, n].expand(L, -1).contiguous()
                d_tokens[m, n] = normed.differentiate(d_units, *found)

        on_threads(differentiate, parts)
        return (d_tokens, *collected(sums))
