"""Attention on CPUs, in blocks of scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.models.blocks import LOG2_E, Part, Scores, on_threads, parts_of_threads
from crosstrait.models.products import first_order, product


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    """Return ``softmax(scale * query @ key.T) @ value`` for N samples and H heads.

    Parameters
    ----------
    query, key, value
        (N, H, L, d), with any strides.
    scale
        Factor of the scores.

    Returns
    -------
    Tensor
        (N, H, L, d), in memory (N, L, H, d).
    """
    attended: Tensor = _Attention.apply(query, key, value, scale)  # type: ignore[no-untyped-call]
    return attended


def attend_head(
    query: Tensor, key: Tensor, value: Tensor, *, scale: float, out: Tensor, total: Tensor
) -> None:
    """Fill the outputs (L, w) and softmax denominators (L, 1) of one sample's head.

    Shapes: query and key (L, d), value (L, w). No gradients.
    """
    value = value.contiguous()
    for queries, weights in Scores(query, key, scale).weights():
        rows = weights.sum(-1, keepdim=True)
        total[queries] = rows
        out[queries] = product(weights, value).div_(rows)
        del weights  # before the next are made


def differentiate_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scale: float,
    out: Tensor,
    total: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query, key and value, for that of what `attend_head` filled.

    With P the softmax, O the output, dO its gradient and S the scores::

        dV = P^T dO
        dS_ij = P_ij (dO_i . V_j - dO_i . O_i)
        dQ = scale dS K,  dK = scale dS^T Q
    """
    upstream = gradient / total
    inner = (upstream * out).sum(-1, keepdim=True)
    both = torch.cat([upstream, -inner], dim=-1)
    value = F.pad(value, (0, 1), value=1.0).mT
    scores = Scores(query, key, scale)
    d_query = torch.empty_like(scores.query)
    d_key, d_value = torch.zeros_like(scores.key.mT), torch.zeros_like(value[:-1])
    for queries, weights in scores.weights():
        d_value += product(upstream[queries].mT, weights)
        d_scores = product(both[queries], value).mul_(weights)
        d_query[queries] = product(d_scores, scores.key)
        d_key += product(scores.query[queries].mT, d_scores)
        del weights, d_scores  # before the next are made
    # The queries of `Scores` carry scale and log2(e).
    return d_query.mul_(scale), d_key.div_(LOG2_E).mT, d_value.mT


class _Attention(torch.autograd.Function):
    """`attend_head` for all samples and heads."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        N, H, L, _ = q.shape
        out = q.new_empty(N, L, H, v.shape[-1]).transpose(1, 2)
        total = q.new_empty(N, H, L, 1)

        def attend(part: Part) -> None:
            h = part.head
            for n in part.samples:
                attend_head(
                    q[n, h], k[n, h], v[n, h], scale=scale, out=out[n, h], total=total[n, h]
                )

        on_threads(attend, parts_of_threads(H, N))
        ctx.save_for_backward(q, k, v, out, total)
        ctx.scale = scale
        return out

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, total = ctx.saved_tensors
        N, H, L, _ = q.shape
        found = [part.new_empty(N, L, H, part.shape[-1]).transpose(1, 2) for part in (q, k, v)]

        def differentiate(part: Part) -> None:
            h = part.head
            for n in part.samples:
                parts = differentiate_head(
                    q[n, h],
                    k[n, h],
                    v[n, h],
                    scale=ctx.scale,
                    out=out[n, h],
                    total=total[n, h],
                    gradient=gradient[n, h],
                )
                for whole, part_gradient in zip(found, parts, strict=True):
                    whole[n, h] = part_gradient

        on_threads(differentiate, parts_of_threads(H, N))
        return (*found, None)
