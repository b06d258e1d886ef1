"""Attention whose outputs are only averaged over the loci, as in the last layer of a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crosstrait.models.attention import attend
from crosstrait.models.blocks import LOG2_E, Part, Scores, in_blocks, on_threads, parts_of_threads
from crosstrait.models.products import first_order, product


def attend_mean(query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return the mean over the queries of ``softmax(scale * query @ key.T) @ value``.

    It equals ``c @ value`` with c_j the mean weight of key j, so that on a CPU the product of
    weights and values, and two of the four products of its gradient, are never made.

    Parameters
    ----------
    query, key, value
        (M, B, L, d).
    scale
        Factor of the scores.

    Returns
    -------
    Tensor
        (M, B, d).
    """
    if not in_blocks(query, query.shape[2]):
        return attend(query, key, value, scale=scale).mean(dim=2)
    samples = (part.flatten(0, 1) for part in (query, key, value))
    pooled: Tensor = _PooledAttention.apply(*samples, scale)  # type: ignore[no-untyped-call]
    return pooled.view(*query.shape[:2], -1)


class _PooledAttention(torch.autograd.Function):
    """Backward, with P the softmax of a sample, c its column means and g the upstream gradient.

    ::

        dv_j = c_j g
        dS_ij = P_ij (r_j - sum_k P_ik r_k)    r_j = g . v_j / L
        dq = scale dS @ k,  dk = scale dS.T @ q
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        B, L, _ = q.shape
        inverse, shares = q.new_empty(B, L, 1), q.new_zeros(B, 1, L)

        def weigh(part: Part) -> None:
            for n in part.samples:
                for queries, weights in Scores(q[n], k[n], scale).weights():
                    rows = weights.sum(-1, keepdim=True).reciprocal_()
                    inverse[n, queries] = rows
                    shares[n] += rows.mT @ weights

        on_threads(weigh, parts_of_threads(1, B))
        shares /= L
        ctx.save_for_backward(q, k, v, inverse, shares)
        ctx.scale = scale
        return torch.bmm(shares, v).squeeze(1)

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, inverse, shares = ctx.saved_tensors
        B, L, _ = q.shape
        dv = shares.mT * gradient.unsqueeze(1)
        gains = torch.bmm(v, gradient.unsqueeze(-1)) / L  # r, (B, L, 1)
        dq, dk = torch.empty_like(q), torch.empty_like(k)

        def differentiate(part: Part) -> None:
            for n in part.samples:
                scores = Scores(q[n], k[n], ctx.scale)
                d_key = torch.zeros_like(scores.key.mT)
                for queries, weights in scores.weights():
                    # The rows of P are weights * rows; that factor goes into smaller matrices.
                    rows = inverse[n, queries]
                    means = (weights @ gains[n]).mul_(rows)
                    d_scores = weights.mul_(gains[n].mT - means)
                    dq[n, queries] = product(d_scores, scores.key).mul_(rows)
                    d_key += product((scores.query[queries] * rows).mT, d_scores)
                dk[n] = d_key.mT

        on_threads(differentiate, parts_of_threads(1, B))
        # The queries of `Scores` carry scale and log2(e).
        return dq.mul_(ctx.scale), dk.div_(LOG2_E), dv, None
