"""One sample's way through a pre-norm encoder layer and back, on one core and without autograd.

Wide intermediate results never exist for more than a block of the sample's loci.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from crosstrait.models.attention import NORM_EPS
from crosstrait.models.blocked_attention import attend_head, differentiate_head
from crosstrait.models.blocks import row_blocks
from crosstrait.models.products import product


class AttentionWeights(NamedTuple):
    """Norm (d,), map to queries, keys and values beside one another (d, 3 d)."""

    attention_norm_weight: Tensor
    attention_norm_bias: Tensor
    projection_weight: Tensor
    projection_bias: Tensor


class FeedForwardWeights(NamedTuple):
    """Map after the attention (d, d), norm (d,), maps to h hidden units and back."""

    attention_out_weight: Tensor
    attention_out_bias: Tensor
    feedforward_norm_weight: Tensor
    feedforward_norm_bias: Tensor
    feedforward_in_weight: Tensor
    feedforward_in_bias: Tensor
    feedforward_out_weight: Tensor
    feedforward_out_bias: Tensor


def attend_sample(tokens: Tensor, own: AttentionWeights, *, out: Tensor, total: Tensor) -> None:
    """Fill the attention (L, d) and softmax denominators (H, L, 1) of tokens (L, d)."""
    heads = _heads(Normed(tokens, *own[:2]).units, own, len(total))
    for h, attended in enumerate(out.view(*heads.shape[:1], len(total), -1).unbind(1)):
        scale = attended.shape[-1] ** -0.5
        attend_head(*heads[:, :, h].unbind(1), scale=scale, out=attended, total=total[h])


def differentiate_attention(
    tokens: Tensor,
    own: AttentionWeights,
    *,
    out: Tensor,
    total: Tensor,
    gradient: Tensor,
    found: AttentionWeights,
) -> Tensor:
    """Return the gradient of the tokens, for that of what `attend_sample` filled.

    Those of the weights are added to ``found``.
    """
    normed = Normed(tokens, *own[:2])
    heads = _heads(normed.units, own, len(total))
    made, given = (whole.view(len(tokens), len(total), -1) for whole in (out, gradient))
    for h in range(len(total)):
        parts = differentiate_head(
            *heads[:, :, h].unbind(1),
            scale=made.shape[-1] ** -0.5,
            out=made[:, h],
            total=total[h],
            gradient=given[:, h],
        )
        for i, part in enumerate(parts):
            heads[:, i, h] = part  # no longer needed, and its gradient takes its place
    rows = heads.view(len(tokens), -1)
    found.projection_weight.add_(product(normed.units.mT, rows))
    found.projection_bias.add_(rows.sum(0))
    return normed.differentiate(product(rows, own.projection_weight.mT), *found[:2])


def _heads(units: Tensor, own: AttentionWeights, n_heads: int) -> Tensor:
    """Return queries, keys and values of every head, (L, 3, H, d / H)."""
    projected = product(units, own.projection_weight, own.projection_bias)
    return projected.view(len(units), 3, n_heads, -1)


def feed_sample(tokens: Tensor, attended: Tensor, own: FeedForwardWeights, *, out: Tensor) -> None:
    """Fill the tokens after the layer, from those before it and their attention, all (L, d)."""
    for rows in row_blocks(len(tokens), own.feedforward_in_weight.shape[-1]):
        block = _Block(tokens[rows], attended[rows], own)
        made = product(block.hidden, own.feedforward_out_weight, own.feedforward_out_bias)
        torch.add(made, block.mixed, out=out[rows])


def differentiate_feed(
    tokens: Tensor,
    attended: Tensor,
    own: FeedForwardWeights,
    *,
    gradient: Tensor,
    found: FeedForwardWeights,
    d_tokens: Tensor,
    d_attended: Tensor,
) -> None:
    """Fill the gradients of tokens and attention, for that of what `feed_sample` filled.

    Those of the weights are added to ``found``.
    """
    for rows in row_blocks(len(tokens), own.feedforward_in_weight.shape[-1]):
        d_mixed = _Block(tokens[rows], attended[rows], own).differentiate(gradient[rows], found)
        found.attention_out_weight.add_(product(attended[rows].mT, d_mixed))
        found.attention_out_bias.add_(d_mixed.sum(0))
        d_tokens[rows] = d_mixed
        d_attended[rows] = product(d_mixed, own.attention_out_weight.mT)


class _Block:
    """What the feed-forward of some loci computes on its way."""

    def __init__(self, tokens: Tensor, attended: Tensor, own: FeedForwardWeights) -> None:
        self._own = own
        mixed = product(attended, own.attention_out_weight, own.attention_out_bias)
        self.mixed = mixed.add_(tokens)
        self._normed = Normed(self.mixed, *own[2:4])
        self.hidden = product(
            self._normed.units, own.feedforward_in_weight, own.feedforward_in_bias
        ).relu_()

    def differentiate(self, gradient: Tensor, found: FeedForwardWeights) -> Tensor:
        """Return the gradient of ``mixed``, for that of the tokens after the layer."""
        found.feedforward_out_weight.add_(product(gradient.mT, self.hidden).mT)
        found.feedforward_out_bias.add_(gradient.sum(0))
        d_hidden = product(gradient, self._own.feedforward_out_weight.mT)
        # Where a hidden unit was cut off, nothing passes.
        d_hidden = torch.ops.aten.threshold_backward(d_hidden, self.hidden, 0)
        found.feedforward_in_weight.add_(product(self._normed.units.mT, d_hidden))
        found.feedforward_in_bias.add_(d_hidden.sum(0))
        d_units = product(d_hidden, self._own.feedforward_in_weight.mT)
        return self._normed.differentiate(d_units, *found[2:4]).add_(gradient)


class Normed:
    """The layer norm of tokens (L, d).

    Attributes
    ----------
    units
        The normed tokens (L, d).
    """

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
