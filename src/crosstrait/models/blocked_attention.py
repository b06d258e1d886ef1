"""Attention on CPUs, in blocks of scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.models.blocks import LOG2_E, Part, Scores, on_threads, parts_of_threads
from crosstrait.models.products import product


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


class _Attention(torch.autograd.Function):
    """Backward, with P the softmax, O the output, dO its gradient and S the scores.

    ::

        dV = P^T dO
        dS_ij = P_ij (dO_i . V_j - dO_i . O_i)
        dQ = scale dS K,  dK = scale dS^T Q
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        N, H, L, _ = q.shape
        out = q.new_empty(N, L, H, v.shape[-1]).transpose(1, 2)
        total = q.new_empty(N, H, L, 1)

        def attend(part: Part) -> None:
            h, samples = part
            for n in samples:
                values = v[n, h].contiguous()
                for queries, weights in Scores(q[n, h], k[n, h], scale).weights():
                    rows = weights.sum(-1, keepdim=True)
                    total[n, h, queries] = rows
                    out[n, h, queries] = product(weights, values).div_(rows)

        on_threads(attend, parts_of_threads(H, N))
        ctx.save_for_backward(q, k, v, out, total)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, total = ctx.saved_tensors
        N, H, L, d = q.shape
        dq, dk = (q.new_empty(N, L, H, d).transpose(1, 2) for _ in range(2))
        dv = torch.empty_like(out)

        def differentiate(part: Part) -> None:
            h, samples = part
            for n in samples:
                upstream = gradient[n, h] / total[n, h]
                inner = (upstream * out[n, h]).sum(-1, keepdim=True)
                both = torch.cat([upstream, -inner], dim=-1)
                values = F.pad(v[n, h], (0, 1), value=1.0).mT
                scores = Scores(q[n, h], k[n, h], ctx.scale)
                d_key, d_value = torch.zeros_like(scores.key.mT), torch.zeros_like(values[:-1])
                for queries, weights in scores.weights():
                    d_value += product(upstream[queries].mT, weights)
                    d_scores = product(both[queries], values).mul_(weights)
                    dq[n, h, queries] = product(d_scores, scores.key)
                    d_key += product(scores.query[queries].mT, d_scores)
                dk[n, h], dv[n, h] = d_key.mT, d_value.mT

        on_threads(differentiate, parts_of_threads(H, N))
        # The queries of `Scores` carry scale and log2(e).
        return dq.mul_(ctx.scale), dk.div_(LOG2_E), dv, None
