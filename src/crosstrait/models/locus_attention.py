"""The first attention of a model, whose tokens are fixed locus vectors scaled by the genotype."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from crosstrait.models.attention import attend, pad_width
from crosstrait.models.blocks import (
    LOG2_E,
    Blocks,
    exp2_,
    needs_shift,
    on_threads,
    samples_of_threads,
    shaped,
)

_MOST_LOCI = 4096  # the L x L products of all loci take 64 MB a head here


def attend_loci(
    loading: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_bias: Tensor,
    *,
    scale: float = 1.0,
) -> Tensor:
    """Return attention over tokens t_i x_i, without the bias of the values.

    With t (L,) the loadings of a sample - its coded genotypes - and a, b, v the query, key and
    value vectors of the loci, queries are ``t_i a_i + c``, keys ``t_j b_j`` and values
    ``t_j v_j``. (A constant added to all keys changes no softmax; one added to all values comes
    out unchanged, and is the caller's.) The scores, up to a constant of the row,

        ``s_ij = t_i t_j (a_i . b_j) + t_j (c . b_j)``

    need no product over the width of a token: on a CPU the products of all pairs of loci are
    made once for the whole batch, and so are their gradients.

    Parameters
    ----------
    loading
        (M, B, L) for M members and B samples.
    query, key
        (M, H, L, d) for H heads.
    value
        (M, H, L, w).
    query_bias
        (M, H, d).
    scale
        Factor of the scores.

    Returns
    -------
    Tensor
        (M, B, L, H w), the heads beside one another.
    """
    shared = loading.device.type == "cpu" and len(loading[0]) > 1
    if shared and loading.shape[-1] <= _MOST_LOCI:
        key = key * (scale * LOG2_E)
        pairs = query @ key.mT  # (M, H, L, L)
        bias = (key @ query_bias.unsqueeze(-1)).squeeze(-1)  # (M, H, L)
        attended: Tensor = _LocusAttention.apply(loading, pairs, bias, value)  # type: ignore[no-untyped-call]
        return attended
    t = loading[:, :, None, :, None]  # (M, B, 1, L, 1)
    queries = t * query.unsqueeze(1) + query_bias[:, None, :, None]
    heads = attend(queries, t * key.unsqueeze(1), t * value.unsqueeze(1), scale=scale)
    return heads.transpose(2, 3).flatten(3)


class _LocusAttention(torch.autograd.Function):
    """`attend_loci` with A and u, the products of loci, to the base 2 (members, heads stacked)."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, t: Tensor, A: Tensor, u: Tensor, v: Tensor) -> Tensor:
        (M, B, L), H, w = t.shape, A.shape[1], v.shape[-1]
        low, high = A.aminmax()
        largest = t.abs().max()
        bound = (torch.maximum(-low, high) * largest + u.abs().max()) * largest
        ctx.shift = needs_shift(float(bound))
        out, total = t.new_empty(M, B, L, H, w), t.new_empty(M, B, L, H, 1)

        def attend_part(part: tuple[int, int, slice]) -> None:
            m, h, own = part
            head = _Head(t[m, own], A[m, h], u[m, h], v[m, h], shift=ctx.shift)
            head.forward(out[m, own, :, h], total[m, own, :, h])

        on_threads(attend_part, list(product(range(M), range(H), samples_of_threads(M * H, B))))
        ctx.save_for_backward(t, A, u, v, out, total)
        return out.flatten(3)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        t, A, u, v, out, total = ctx.saved_tensors
        (M, B, _), H = t.shape, A.shape[1]
        upstream = gradient.view_as(out) / total
        inner = (upstream * out).sum(-1, keepdim=True)
        of_t = ctx.needs_input_grad[0]

        def gradients_of_part(part: tuple[int, int, slice]) -> _Gradients:
            m, h, own = part
            head = _Head(t[m, own], A[m, h], u[m, h], v[m, h], shift=ctx.shift)
            return head.backward(upstream[m, own, :, h], inner[m, own, :, h], of_t=of_t)

        parts = list(product(range(M), range(H), samples_of_threads(M * H, B)))
        dt = torch.zeros_like(t) if of_t else None
        dA, du, dv = torch.zeros_like(A), torch.zeros_like(u), torch.zeros_like(v)
        for (m, h, own), found in zip(parts, on_threads(gradients_of_part, parts), strict=True):
            dA[m, h] += found.A
            du[m, h] += found.u
            dv[m, h] += found.v
            if dt is not None:
                dt[m, own] += found.t
        return dt, dA, du, dv


@dataclass(frozen=True)
class _Gradients:
    t: Tensor
    A: Tensor
    u: Tensor
    v: Tensor


class _Head:
    """One head of one member on some samples: t (B, L), A (L, L), u (L,), v (L, w)."""

    def __init__(self, t: Tensor, A: Tensor, u: Tensor, v: Tensor, *, shift: bool) -> None:
        self.t, self.A, self.u, self.v = t, A, u, v
        self.shift = shift
        self.blocks = Blocks(t, *t.shape)
        self.rows = list(zip(self.blocks.query_slices(), A.split(self.blocks.queries), strict=True))

    def weights(self, t: Tensor, own: Tensor, rows: Tensor) -> Tensor:
        """Return the softmax numerators of the queries ``rows`` of A with loadings ``own``."""
        scores = shaped(self.blocks.scores, len(t), *rows.shape)
        torch.addcmul(self.u, rows, own, out=scores)
        return exp2_(scores.mul_(t.unsqueeze(1)), shift=self.shift)

    def forward(self, out: Tensor, total: Tensor) -> None:
        """Fill the outputs (B, L, w) and the softmax denominators (B, L, 1)."""
        w = self.v.shape[-1]
        v = pad_width(self.v)
        for samples in self.blocks.sample_slices():
            t = self.t[samples]
            own = t.unsqueeze(-1)
            values = own * v
            sums, tops = [], []
            for queries, rows in self.rows:
                weights = self.weights(t, own[:, queries], rows)
                sums.append(weights.sum(-1, keepdim=True))
                tops.append(torch.bmm(weights, values))
            total[samples] = torch.cat(sums, dim=1)
            out[samples] = torch.cat(tops, dim=1)[..., :w].div_(total[samples])

    def backward(self, upstream: Tensor, inner: Tensor, *, of_t: bool) -> _Gradients:
        """Return the gradients; that of t (B, L) only if asked for.

        With P the softmax of a sample, O its output and dO the gradient of that, ``upstream``
        holds dO_i and ``inner`` holds dO_i . O_i, both over the denominator of row i, and::

            dV_j = sum_i P_ij dO_i                 V_j = t_j v_j
            dS_ij = P_ij (dO_i . V_j - dO_i . O_i)
            dA_ij = t_i t_j dS_ij                  summed over samples, as du and dv
            du_j = t_j sum_i dS_ij
            dv_j = t_j dV_j
            dt_j = v_j . dV_j + sum_i dS_ij (t_i A_ij + u_j) + sum_i dS_ji t_i A_ji
        """
        w = self.v.shape[-1]
        # The scores are to the base 2, whose derivative brings ln 2.
        inner = inner * math.log(2)
        upstream, v = pad_width(upstream), pad_width(self.v)
        found = _Gradients(*(torch.zeros_like(part) for part in (self.t, self.A, self.u, self.v)))
        room = self.blocks.room()
        for samples in self.blocks.sample_slices():
            t = self.t[samples]
            own = t.unsqueeze(-1)
            values = (own * (v * math.log(2))).mT
            d_values = v.new_zeros(len(t), *v.shape)
            d_columns = torch.zeros_like(t)
            for queries, rows in self.rows:
                given = upstream[samples, queries]
                weights = self.weights(t, own[:, queries], rows)
                d_values.baddbmm_(weights.mT, given)
                d_scores = shaped(room, *weights.shape)
                torch.bmm(given, values, out=d_scores)
                d_scores.sub_(inner[samples, queries]).mul_(weights)
                d_columns += d_scores.sum(1)
                if of_t:
                    products = torch.mul(d_scores, rows, out=weights)
                    found.t[samples, queries] += torch.bmm(products, own).squeeze(-1)
                    found.t[samples] += torch.bmm(own[:, queries].mT, products).squeeze(1)
                d_scores.mul_(t.unsqueeze(1))
                for d_own, scores in zip(own[:, queries], d_scores, strict=True):
                    found.A[queries].addcmul_(d_own, scores)
            d_values = d_values[..., :w]
            found.u.add_((t * d_columns).sum(0))
            found.v.add_((own * d_values).sum(0))
            if of_t:
                found.t[samples] += self.u * d_columns + (self.v * d_values).sum(-1)
        return found
