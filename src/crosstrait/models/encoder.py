"""Pre-norm encoder layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.models.attention import attend, layer_norm
from crosstrait.models.blocks import (
    Part,
    accumulators,
    collected,
    empty_apart,
    in_blocks,
    on_threads,
    parts_of_threads,
)
from crosstrait.models.encoder_sample import (
    AttentionWeights,
    FeedForwardWeights,
    attend_sample,
    differentiate_attention,
    differentiate_feed,
    feed_sample,
)
from crosstrait.models.members import Dropout
from crosstrait.models.products import first_order, linear

ATTENTION_WEIGHTS = AttentionWeights._fields
FEEDFORWARD_WEIGHTS = FeedForwardWeights._fields
_N_ATTENTION = len(ATTENTION_WEIGHTS)


def encoder_layer(
    tokens: Tensor, weights: Mapping[str, Tensor], *, n_heads: int, drop: Dropout
) -> Tensor:
    """Return the tokens after a layer: multi-head attention, then `feed_forward`.

    Parameters
    ----------
    tokens
        (M, B, L, d) for M members and B samples.
    weights
        `ATTENTION_WEIGHTS`: norm (M, d), projection weight (M, d, 3 d) and bias (M, 3 d), which
        holds the maps to queries, keys and values beside one another; `FEEDFORWARD_WEIGHTS`.
    n_heads
        Heads, each of width d / n_heads.
    drop
        See `feed_forward`.

    Returns
    -------
    Tensor
        (M, B, L, d).
    """
    norm_weight, norm_bias, *projection = own = [weights[name] for name in ATTENTION_WEIGHTS]
    if in_blocks(tokens, tokens.shape[2]) and drop.rate == 0:
        own += [weights[name] for name in FEEDFORWARD_WEIGHTS]
        made: Tensor = _Layer.apply(tokens, n_heads, *own)  # type: ignore[no-untyped-call]
        return made
    projected = linear(layer_norm(tokens, norm_weight, norm_bias), *projection)
    query, key, value = (
        part.view(*part.shape[:-1], n_heads, -1).transpose(2, 3)  # (M, B, heads, L, d / heads)
        for part in projected.chunk(3, dim=-1)
    )
    attended = attend(query, key, value, scale=query.shape[-1] ** -0.5)
    return feed_forward(tokens, attended.transpose(2, 3).flatten(3), weights, drop=drop)


def feed_forward(
    tokens: Tensor, attended: Tensor, weights: Mapping[str, Tensor], *, drop: Dropout
) -> Tensor:
    """Return the tokens after a layer whose attention is known.

    ::

        Y = X + drop(A Wo + bo)
        Z = Y + drop(drop(relu(norm(Y) W1 + b1)) W2 + b2)

    Parameters
    ----------
    tokens, attended
        X, the tokens before the layer, and A, the heads' outputs beside one another,
        (M, B, L, d).
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


class _Layer(torch.autograd.Function):
    """`encoder_layer` on a CPU, without dropout.

    Only the attention is kept for the gradient: the rest is made again, a sample at a time.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, n_heads: int, *weights: Tensor) -> Tensor:
        M, B, L, _ = tokens.shape
        out, attended = empty_apart(tokens), empty_apart(tokens)
        total = tokens.new_empty(M, B, n_heads, L, 1)

        def run_part(part: Part) -> None:
            m = part.head
            attention, feed = _weights_of(weights, m)
            for n in part.samples:
                attend_sample(tokens[m, n], attention, out=attended[m, n], total=total[m, n])
                feed_sample(tokens[m, n], attended[m, n], feed, out=out[m, n])

        on_threads(run_part, parts_of_threads(M, B))
        ctx.save_for_backward(tokens, attended, total, *weights)
        return out

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, attended, total, *weights = ctx.saved_tensors
        d_tokens = empty_apart(tokens)
        parts = parts_of_threads(*tokens.shape[:2])
        sums = accumulators(parts, *weights)

        def differentiate_part(part: Part) -> None:
            m = part.head
            attention, feed = _weights_of(weights, m)
            of_attention, of_feed = _weights_of([whole[part.share] for whole in sums], m)
            d_attended = torch.empty_like(tokens[m, 0])
            for n in part.samples:
                differentiate_feed(
                    tokens[m, n],
                    attended[m, n],
                    feed,
                    gradient=gradient[m, n],
                    found=of_feed,
                    d_tokens=d_tokens[m, n],
                    d_attended=d_attended,
                )
                d_tokens[m, n] += differentiate_attention(
                    tokens[m, n],
                    attention,
                    out=attended[m, n],
                    total=total[m, n],
                    gradient=d_attended,
                    found=of_attention,
                )

        on_threads(differentiate_part, parts)
        return (d_tokens, None, *collected(sums))


class _FeedForward(torch.autograd.Function):
    """`feed_forward` on a CPU, without dropout; all but X and A is made again backward."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, attended: Tensor, *weights: Tensor) -> Tensor:
        out = empty_apart(tokens)

        def feed_part(part: Part) -> None:
            m = part.head
            own = FeedForwardWeights(*(whole[m] for whole in weights))
            for n in part.samples:
                feed_sample(tokens[m, n], attended[m, n], own, out=out[m, n])

        on_threads(feed_part, parts_of_threads(*tokens.shape[:2]))
        ctx.save_for_backward(tokens, attended, *weights)
        return out

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        tokens, attended, *weights = ctx.saved_tensors
        d_tokens, d_attended = empty_apart(tokens), empty_apart(attended)
        parts = parts_of_threads(*tokens.shape[:2])
        sums = accumulators(parts, *weights)

        def differentiate_part(part: Part) -> None:
            m = part.head
            own = FeedForwardWeights(*(whole[m] for whole in weights))
            found = FeedForwardWeights(*(whole[part.share, m] for whole in sums))
            for n in part.samples:
                differentiate_feed(
                    tokens[m, n],
                    attended[m, n],
                    own,
                    gradient=gradient[m, n],
                    found=found,
                    d_tokens=d_tokens[m, n],
                    d_attended=d_attended[m, n],
                )

        on_threads(differentiate_part, parts)
        return (d_tokens, d_attended, *collected(sums))


def _weights_of(
    weights: Sequence[Tensor], member: int
) -> tuple[AttentionWeights, FeedForwardWeights]:
    own = [whole[member] for whole in weights]
    return AttentionWeights(*own[:_N_ATTENTION]), FeedForwardWeights(*own[_N_ATTENTION:])
