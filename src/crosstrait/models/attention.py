"""What the attention models share: linear maps, norms and attention of many members at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.models.blocked_attention import attend_in_blocks
from crosstrait.models.blocks import in_blocks

NORM_EPS = 1e-5  # of layer norms, PyTorch's default
# Widths are filled up to whole vectors: float32 in the widest CPU registers; bf16 in the 16 bytes
# that a GPU loads at once, without which its fused kernels refuse and whole scores are made.
_VECTOR = {"cpu": 16, "cuda": 8}


def layer_norm(units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the layer norm of units (M, ..., d) with each member's weight and bias (M, d)."""
    width = (units.shape[-1],)
    if len(units) == 1:
        return F.layer_norm(units, width, weight[0], bias[0])
    shape = (len(units), *[1] * (units.ndim - 2), -1)
    return F.layer_norm(units, width) * weight.view(shape) + bias.view(shape)


def scaled_tokens(X: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Return loadings (M, B, L) and centred loci (M, L, d) whose products are normed tokens.

    The layer norm of the token g E_i (before its weight and bias) is the genotype's share
    ``g / sqrt(g^2 var(E_i) + eps)`` of ``E_i - mean(E_i)``: a fixed vector, scaled.
    """
    centred = embedding - embedding.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1).unsqueeze(1)  # (M, 1, L)
    return X * torch.rsqrt(X.square() * variance + NORM_EPS), centred


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return ``softmax(scale * query @ key.T) @ value`` over the last two dimensions.

    The scores are never held whole: they are made in blocks, by PyTorch's fused attention or, on
    a CPU and with many loci, by ours.

    Parameters
    ----------
    query, key, value
        (M, B, L, d) for M members and B samples, or (M, B, H, L, d) with H heads.
    scale
        1 for the published unscaled attention, ``1 / sqrt(d)`` for the usual one.
    """
    # The fused kernels take exactly four dimensions, and fall back to whole scores for others.
    queries, keys, values = (
        part.flatten(0, 1) if part.ndim == 5 else part.flatten(0, 1).unsqueeze(1)
        for part in (query, key, value)
    )
    if in_blocks(query, query.shape[-2]):
        attended = attend_in_blocks(queries, keys, values, scale=scale)
    else:
        queries, keys, wide = map(pad_width, (queries, keys, values))
        attended = F.scaled_dot_product_attention(queries, keys, wide, scale=scale)
        attended = attended[..., : value.shape[-1]]
    return attended.view(*query.shape[:-1], -1)


def pad_width(units: Tensor) -> Tensor:
    """Widen the last dimension with zeros to whole vectors, which fused attention needs."""
    missing = -units.shape[-1] % _VECTOR.get(units.device.type, 1)
    return F.pad(units, (0, missing)) if missing else units
