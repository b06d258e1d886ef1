"""The two halves of a pre-norm encoder layer: attention and feed-forward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.models.attention import NORM_EPS, attend, layer_norm
from crosstrait.models.blocked_attention import attend_head, differentiate_head
from crosstrait.models.blocks import (
    Part,
    accumulators,
    collected,
    in_blocks,
    on_threads,
    parts_of_threads,
)
from crosstrait.models.members import Dropout
from crosstrait.models.products import first_order, linear, product

ATTENTION_WEIGHTS = (
    "attention_norm_weight",
    "attention_norm_bias",
    "projection_weight",
    "projection_bias",
)
FEEDFORWARD_WEIGHTS = (
    "attention_out_weight",
    "attention_out_bias",
    "feedforward_norm_weight",
    "feedforward_norm_bias",
    "feedforward_in_weight",
    "feedforward_in_bias",
    "feedforward_out_weight",
    "feedforward_out_bias",
)


def attention_half(tokens: Tensor, weights: Mapping[str, Tensor], *, n_heads: int) -> Tensor:
    """Return multi-head attention over the normed tokens, before the output map.

    Parameters
    ----------
    tokens
        (M, B, L, d) for M members and B samples.
    weights
        `ATTENTION_WEIGHTS`: norm (M, d), projection weight (M, d, 3 d) and bias (M, 3 d), which
        holds the maps to queries, keys and values beside one another.
    n_heads
        Heads, each of width d / n_heads.

    Returns
    -------
    Tensor
        (M, B, L, d), the heads beside one another.
    """
    norm_weight, norm_bias, weight, bias = (weights[name] for name in ATTENTION_WEIGHTS)
    if in_blocks(tokens, tokens.shape[2]):
        made: Tensor = _Attention.apply(tokens, n_heads, norm_weight, norm_bias, weight, bias)  # type: ignore[no-untyped-call]
        return made
    projected = linear(layer_norm(tokens, norm_weight, norm_bias), weight, bias)
    query, key, value = (
        part.view(*part.shape[:-1], n_heads, -1).transpose(2, 3)  # (M, B, heads, L, d / heads)
        for part in projected.chunk(3, dim=-1)
    )
    attended = attend(query, key, value, scale=query.shape[-1] ** -0.5)
    return attended.transpose(2, 3).flatten(3)


def feedforward_half(
    tokens: Tensor, attended: Tensor, weights: Mapping[str, Tensor], *, drop: Dropout
) -> Tensor:
    """Return the tokens after the layer.

    ::

        Y = X + drop(A Wo + bo)
        Z = Y + drop(drop(relu(norm(Y) W1 + b1)) W2 + b2)

    Parameters
    ----------
    tokens, attended
        X, the tokens before the layer, and A from `attention_half`, (M, B, L, d).
    weights
        `FEEDFORWARD_WEIGHTS`: Wo (M, d, d), W1 (M, d, h), W2 (M, h, d); biases and norm.
    drop
        Dropout of both branches and of the hidden units.

    Returns
    -------
    Tensor
        Z, (M, B, L, d).
    """
    own = [weights[name] for name in FEEDFORWARD_WEIGHTS]
    if in_blocks(tokens, tokens.shape[2]) and drop.rate == 0:
        made: Tensor = _FeedForward.apply(tokens, attended, *own)  # type: ignore[no-untyped-call]
        return made
    mix_weight, mix_bias, norm_weight, norm_bias, in_weight, in_bias, out_weight, out_bias = own
    mixed = tokens + drop(linear(attended, mix_weight, mix_bias))
    hidden = linear(layer_norm(mixed, norm_weight, norm_bias), in_weight, in_bias)
    return mixed + drop(linear(drop(F.relu(hidden)), out_weight, out_bias))


class _Attention(torch.autograd.Function):
    """`attention_half` on a CPU; the projections are made again for the gradient."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, n_heads: int, *weights: Tensor) -> Tensor:
        M, B, L, d = tokens.shape
        out, total = torch.empty_like(tokens), tokens.new_empty(M, B, n_heads, L, 1)
        ctx.scale = (d // n_heads) ** -0.5

        def attend_part(part: Part) -> None:
            m = part.head
            norm_weight, norm_bias, weight, bias = (whole[m] for whole in weights)
            for n in part.samples:
                units = _Normed(tokens[m, n], norm_weight, norm_bias).units
                heads = product(units, weight, bias).view(L, 3, n_heads, -1)
                made = out[m, n].view(L, n_heads, -1)
                for h in range(n_heads):
                    attend_head(
                        *heads[:, :, h].unbind(1),
                        scale=ctx.scale,
                        out=made[:, h],
                        total=total[m, n, h],
                    )

        on_threads(attend_part, parts_of_threads(M, B))
        ctx.save_for_backward(tokens, out, total, *weights)
        return out

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, out, total, *weights = ctx.saved_tensors
        M, B, n_heads, L, _ = total.shape
        d_tokens = torch.empty_like(tokens)
        parts = parts_of_threads(M, B)
        sums = accumulators(parts, *weights)

        def differentiate_part(part: Part) -> None:
            m = part.head
            norm_weight, norm_bias, weight, bias = (whole[m] for whole in weights)
            d_norm_weight, d_norm_bias, d_weight, d_bias = (whole[part.share, m] for whole in sums)
            for n in part.samples:
                normed = _Normed(tokens[m, n], norm_weight, norm_bias)
                heads = product(normed.units, weight, bias).view(L, 3, n_heads, -1)
                made, given = (whole[m, n].view(L, n_heads, -1) for whole in (out, gradient))
                d_heads = torch.empty_like(heads)
                for h in range(n_heads):
                    found = differentiate_head(
                        *heads[:, :, h].unbind(1),
                        scale=ctx.scale,
                        out=made[:, h],
                        total=total[m, n, h],
                        gradient=given[:, h],
                    )
                    d_heads[:, :, h] = torch.stack(found, dim=1)
                rows = d_heads.view(L, -1)
                d_weight += product(normed.units.mT, rows)
                d_bias += rows.sum(0)
                d_units = product(rows, weight.mT)
                d_tokens[m, n] = normed.differentiate(d_units, d_norm_weight, d_norm_bias)

        on_threads(differentiate_part, parts)
        return (d_tokens, None, *collected(sums))


class _FeedForward(torch.autograd.Function):
    """`feedforward_half` on a CPU, without dropout; all but X and A is made again backward."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, attended: Tensor, *weights: Tensor) -> Tensor:
        M, B, _, _ = tokens.shape
        out = torch.empty_like(tokens)

        def feed_part(part: Part) -> None:
            m = part.head
            mix, mix_bias, norm, norm_bias, w1, b1, w2, b2 = (whole[m] for whole in weights)
            for n in part.samples:
                mixed = product(attended[m, n], mix, mix_bias).add_(tokens[m, n])
                hidden = product(_Normed(mixed, norm, norm_bias).units, w1, b1).relu_()
                out[m, n] = product(hidden, w2, b2).add_(mixed)

        on_threads(feed_part, parts_of_threads(M, B))
        ctx.save_for_backward(tokens, attended, *weights)
        return out

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        tokens, attended, *weights = ctx.saved_tensors
        M, B, _, _ = tokens.shape
        d_tokens, d_attended = torch.empty_like(tokens), torch.empty_like(attended)
        parts = parts_of_threads(M, B)
        sums = accumulators(parts, *weights)

        def differentiate_part(part: Part) -> None:
            m = part.head
            mix, mix_bias, norm, norm_bias, w1, b1, w2, _ = (whole[m] for whole in weights)
            d_mix, d_mix_bias, d_norm, d_norm_bias, d_w1, d_b1, d_w2, d_b2 = (
                whole[part.share, m] for whole in sums
            )
            for n in part.samples:
                given = gradient[m, n]
                mixed = product(attended[m, n], mix, mix_bias).add_(tokens[m, n])
                normed = _Normed(mixed, norm, norm_bias)
                hidden = product(normed.units, w1, b1).relu_()
                d_w2 += product(given.mT, hidden).mT
                d_b2 += given.sum(0)
                d_hidden = product(given, w2.mT).mul_(hidden > 0)
                d_w1 += product(normed.units.mT, d_hidden)
                d_b1 += d_hidden.sum(0)
                d_units = product(d_hidden, w1.mT)
                d_mixed = normed.differentiate(d_units, d_norm, d_norm_bias).add_(given)
                d_mix += product(attended[m, n].mT, d_mixed)
                d_mix_bias += d_mixed.sum(0)
                d_tokens[m, n] = d_mixed
                d_attended[m, n] = product(d_mixed, mix.mT)

        on_threads(differentiate_part, parts)
        return (d_tokens, d_attended, *collected(sums))


class _Normed:
    """The layer norm of one sample's tokens (L, d), without autograd."""

    def __init__(self, tokens: Tensor, weight: Tensor, bias: Tensor) -> None:
        self._tokens, self._weight, self._bias = tokens, weight, bias
        self.units, self._mean, self._rstd = torch.native_layer_norm(
            tokens, tokens.shape[-1:], weight, bias, NORM_EPS
        )

    def differentiate(self, d_units: Tensor, d_weight: Tensor, d_bias: Tensor) -> Tensor:
        """Return the gradient of the tokens; add to those of weight and bias."""
        d_tokens, of_weight, of_bias = torch.ops.aten.native_layer_norm_backward(
            d_units,
            self._tokens,
            self._tokens.shape[-1:],
            self._mean,
            self._rstd,
            self._weight,
            self._bias,
            [True, True, True],
        )
        d_weight += of_weight
        d_bias += of_bias
        made: Tensor = d_tokens
        return made
