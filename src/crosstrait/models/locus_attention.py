"""The first attention of a model, whose tokens are fixed locus vectors scaled by the genotype."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.models.attention import attend
from crosstrait.models.blocks import (
    LOG2_E,
    Part,
    accumulators,
    collected,
    exp2_,
    in_blocks,
    needs_shift,
    on_threads,
    parts_of_threads,
    row_blocks,
)
from crosstrait.models.products import first_order, product

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
    n_loci = loading.shape[-1]
    if in_blocks(loading, n_loci) and n_loci <= _MOST_LOCI:
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
    def forward(ctx: Any, t: Tensor, A: Tensor, u: Tensor, v: Tensor) -> Tensor:
        (M, B, L), H, w = t.shape, A.shape[1], v.shape[-1]
        largest = t.abs().max()
        pairs = torch.stack(A.aminmax()).abs().max()
        ctx.shift = needs_shift((pairs * largest + u.abs().max()) * largest)
        out, total = t.new_empty(M, B, L, H, w), t.new_empty(M, B, L, H, 1)

        def attend_part(part: Part) -> None:
            m, h = divmod(part.head, H)
            head = _Head(A[m, h], u[m, h], v[m, h], shift=ctx.shift)
            for n in part.samples:
                head.forward(t[m, n], out[m, n, :, h], total[m, n, :, h])

        on_threads(attend_part, parts_of_threads(M * H, B))
        ctx.save_for_backward(t, A, u, v, out, total)
        return out.flatten(3)

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        t, A, u, v, out, total = ctx.saved_tensors
        (M, B, _), H = t.shape, A.shape[1]
        gradient = gradient.view_as(out)
        dt = t.new_zeros(H, *t.shape) if ctx.needs_input_grad[0] else None

        parts = parts_of_threads(M * H, B)
        sums = accumulators(parts, A, u, v)

        def differentiate_part(part: Part) -> None:
            m, h = divmod(part.head, H)
            head = _Head(A[m, h], u[m, h], v[m, h], shift=ctx.shift)
            found = _Gradients(*(whole[part.share, m, h] for whole in sums))
            for n in part.samples:
                given, made, rows = (whole[m, n, :, h] for whole in (gradient, out, total))
                of_t = None if dt is None else dt[h, m, n]
                head.backward(t[m, n], given, made, rows, found, of_t)

        on_threads(differentiate_part, parts)
        return None if dt is None else dt.sum(0), *collected(sums)


class _Gradients(NamedTuple):
    A: Tensor
    u: Tensor
    v: Tensor


class _Head:
    """One head of one member: A (L, L), u (L,), v (L, w)."""

    def __init__(self, A: Tensor, u: Tensor, v: Tensor, *, shift: bool) -> None:
        self.A, self.u, self.v = A, u, v
        self.shift = shift

    def weights(self, t: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield the softmax numerators (Q, L) of one block of queries after the other."""
        for queries in row_blocks(len(t), len(t)):
            scores = torch.addcmul(self.u, self.A[queries], t[queries, None]).mul_(t)
            yield queries, exp2_(scores, shift=self.shift)

    def forward(self, t: Tensor, out: Tensor, total: Tensor) -> None:
        """Fill the outputs (L, w) and softmax denominators (L, 1) of a sample t (L,)."""
        values = t.unsqueeze(-1) * self.v
        for queries, weights in self.weights(t):
            rows = weights.sum(-1, keepdim=True)
            total[queries] = rows
            out[queries] = product(weights, values).div_(rows)

    def backward(
        self,
        t: Tensor,
        gradient: Tensor,
        out: Tensor,
        total: Tensor,
        found: _Gradients,
        dt: Tensor | None,
    ) -> None:
        """Add a sample's share to the gradients found, and to that of t (L,) if there is one.

        With P the softmax, O the output and dO the gradient of that::

            dV_j = sum_i P_ij dO_i                 V_j = t_j v_j
            dS_ij = P_ij (dO_i . V_j - dO_i . O_i)
            dA_ij = t_i t_j dS_ij
            du_j = t_j sum_i dS_ij
            dv_j = t_j dV_j
            dt_j = v_j . dV_j + sum_i dS_ij (t_i A_ij + u_j) + sum_i dS_ji t_i A_ji
        """
        own = t.unsqueeze(-1)
        upstream = gradient / total
        inner = (upstream * out).sum(-1, keepdim=True)
        both = torch.cat([upstream, -inner], dim=-1)
        # The scores are to the base 2, whose derivative brings ln 2.
        values = F.pad(own * self.v, (0, 1), value=1.0).mul_(math.log(2)).mT
        summed = torch.zeros_like(values)  # of P_ij [dO_i, -dO_i . O_i], (w + 1, L)
        for queries, weights in self.weights(t):
            given = both[queries]
            summed += product(given.mT, weights)
            d_scores = product(given, values).mul_(weights)
            if dt is not None:
                products = torch.mul(d_scores, self.A[queries], out=weights)
                dt[queries] += products @ t
                dt += t[queries] @ products
            found.A[queries].addcmul_(d_scores.mul_(t), own[queries])
        columns = (summed * values).sum(0)  # sum_i dS_ij
        found.u.add_(t * columns)
        found.v.add_(own * summed[:-1].mT)
        if dt is not None:
            dt += self.u * columns + (self.v.mT * summed[:-1]).sum(0)
