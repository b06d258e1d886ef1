"""Attention whose outputs are only averaged over the loci, as in the last layer of a model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from crosstrait.models.attention import attend
from crosstrait.models.blocks import (
    LOG2_E,
    Blocks,
    exp2_,
    needs_shift,
    on_threads,
    samples_of_threads,
    shaped,
)


def attend_mean(query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return the mean over the queries of ``softmax(scale * query @ key.T) @ value``.

    It equals ``c @ value`` with c_j the mean weight of key j, so that on a CPU the product of
    weights and values, and three of the five products of its gradient, are never made.

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
    if query.device.type != "cpu":
        return attend(query, key, value, scale=scale).mean(dim=-2)
    pooled: Tensor = _PooledAttention.apply(  # type: ignore[no-untyped-call]
        query.flatten(0, 1) * (scale * LOG2_E), key.flatten(0, 1), value.flatten(0, 1)
    )
    return pooled.unflatten(0, query.shape[:2])


class _PooledAttention(torch.autograd.Function):
    """mean_i softmax2(q @ k.T)_i @ v for samples stacked, with softmax2 to the base 2.

    Backward, with P the softmax of a sample, c its column means and g the gradient of the
    output::

        dv_j = c_j g
        dS_ij = P_ij (r_j - sum_k P_ik r_k)    r_j = g . v_j / L
        dq = dS @ k,  dk = dS.T @ q
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        B, L, _ = q.shape
        largest = [units.square().sum(-1).amax().sqrt() for units in (q, k)]
        ctx.shift = needs_shift(float(largest[0] * largest[1]))
        inverse, shares = q.new_empty(B, L, 1), q.new_zeros(B, 1, L)

        def weigh(own: slice) -> None:
            blocks = Blocks(q, own.stop - own.start, L)
            for samples, queries, weights in _weights(blocks, q[own], k[own], shift=ctx.shift):
                rows = weights.sum(-1, keepdim=True).reciprocal_()
                inverse[own][samples, queries] = rows
                shares[own][samples] += torch.bmm(rows.mT, weights)

        on_threads(weigh, samples_of_threads(1, B))
        shares /= L
        ctx.save_for_backward(q, k, v, inverse, shares)
        return torch.bmm(shares, v).squeeze(1)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, inverse, shares = ctx.saved_tensors
        B, L, _ = q.shape
        dv = shares.mT * gradient.unsqueeze(1)
        # The scores are to the base 2, whose derivative brings ln 2.
        r = torch.bmm(v, gradient.unsqueeze(-1)) * (math.log(2) / L)  # (B, L, 1)
        dq, dk = torch.empty_like(q), torch.zeros_like(k)

        def differentiate(own: slice) -> None:
            blocks = Blocks(q, own.stop - own.start, L)
            room = blocks.room()
            for samples, queries, weights in _weights(blocks, q[own], k[own], shift=ctx.shift):
                gains = r[own][samples]
                rows = inverse[own][samples, queries]
                means = torch.bmm(weights, gains).mul_(rows)
                # The rows of P are weights * rows; that factor goes into the smaller matrices.
                d_scores = shaped(room, *weights.shape)
                torch.sub(gains.mT, means, out=d_scores).mul_(weights)
                dq[own][samples, queries] = torch.bmm(d_scores, k[own][samples]).mul_(rows)
                dk[own][samples].baddbmm_(d_scores.mT, q[own][samples, queries] * rows)

        on_threads(differentiate, samples_of_threads(1, B))
        return dq, dk, dv


def _weights(
    blocks: Blocks, q: Tensor, k: Tensor, *, shift: bool
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield each block: its samples, its queries and their softmax numerators."""
    for samples in blocks.sample_slices():
        keys = k[samples].mT
        for queries in blocks.query_slices():
            rows = q[samples, queries]
            scores = shaped(blocks.scores, *rows.shape[:2], keys.shape[-1])
            yield samples, queries, exp2_(torch.bmm(rows, keys, out=scores), shift=shift)
