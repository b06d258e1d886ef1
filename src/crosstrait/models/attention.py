"""What the attention models share: linear maps, norms and attention of many members at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it


def linear(units: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``units @ weight + bias`` for every member.

    Shapes: units (M, ..., d_in), weight (M, d_in, d_out), bias (M, d_out).
    """
    rows = units.flatten(1, -2)  # (M, rows, d_in)
    if bias is None:
        mapped = torch.bmm(rows, weight)
    else:
        mapped = torch.baddbmm(bias.unsqueeze(1), rows, weight)
    return mapped.view(*units.shape[:-1], -1)


def layer_norm(units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the layer norm of units (M, ..., d) with each member's weight and bias (M, d)."""
    width = (units.shape[-1],)
    if len(units) == 1:
        return F.layer_norm(units, width, weight[0], bias[0])
    shape = (len(units), *[1] * (units.ndim - 2), -1)
    return F.layer_norm(units, width) * weight.view(shape) + bias.view(shape)


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return ``softmax(scale * query @ key.T) @ value`` over the last two dimensions.

    Parameters
    ----------
    query, key, value
        (..., L, d): any number of leading dimensions, such as member, sample and head.
    scale
        1 for the published unscaled attention, ``1 / sqrt(d)`` for the usual one.
    """
    return F.scaled_dot_product_attention(query, key, value, scale=scale)
