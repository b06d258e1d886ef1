"""The published models written straight from their equations, to time and train ours against.

Nothing is merged, blocked or fused here: a one-hot diagonal matrix makes rijal's tokens, every
(B, L, L) matrix of scores and of weights is held, and the transformer is PyTorch's own.
`plain_copy` gives the plain twin of one of our networks: same weights, same function.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crosstrait.models.canonical import Canonical
from crosstrait.models.rijal import Rijal
from crosstrait.models.transformer import Transformer


def attention(query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return ``softmax(scale * query @ key.T) @ value``, its scores (B, L, L) held whole."""
    scores = scale * torch.matmul(query, key.mT)
    return torch.matmul(torch.softmax(scores, dim=-1), value)


class PlainRijal(nn.Module):
    """One trait: X = [diag(g) R, 1]; X <- softmax((X Wq)(X Wk)^T)(X Wv); y = sum X * C + b."""

    def __init__(self, ours: Rijal) -> None:
        super().__init__()
        self.embedding = _own(ours.embedding)  # R (L, d - 1)
        for name in ("query", "key", "value"):
            layers = getattr(ours, name)  # (layers, d, d)
            self.register_module(name, nn.ParameterList(_own(layer) for layer in layers))
        self.readout = _own(ours.readout)  # C (L, d)
        self.offset = _own(ours.offset)

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs (B, 1) for coded genotypes X (B, L)."""
        tokens = torch.diag_embed(X) @ self.embedding  # (B, L, L) @ (L, d - 1)
        tokens = torch.cat([tokens, torch.ones_like(tokens[..., :1])], dim=-1)
        for query, key, value in zip(self.query, self.key, self.value, strict=True):
            tokens = attention(tokens @ query, tokens @ key, tokens @ value)
        return (tokens * self.readout).sum(dim=(1, 2)).unsqueeze(-1) + self.offset


class PlainCanonical(nn.Module):
    """All traits: X_i = g_i E_i; attention with biased maps; mean over loci; linear readout."""

    def __init__(self, ours: Canonical) -> None:
        super().__init__()
        config = ours.config
        self.scale = config.embedding_dim**-0.5 if config.scaled_attention else 1.0
        self.skip_connections = config.skip_connections
        self.embedding = _own(ours.embedding)  # E (L, d)
        for name in ("query", "key", "value"):
            maps = zip(getattr(ours, f"{name}_weight"), getattr(ours, f"{name}_bias"), strict=True)
            self.register_module(name, nn.ModuleList(_linear(*own) for own in maps))
        self.norms = nn.ModuleList(nn.Identity() for _ in range(config.n_layers))
        if config.layer_norm:
            maps = zip(ours.norm_weight, ours.norm_bias, strict=True)
            self.norms = nn.ModuleList(_norm(*own) for own in maps)
        self.dropout = nn.Dropout(config.dropout)
        self.readout = _linear(ours.readout_weight, ours.readout_bias)

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs (B, T) for coded genotypes X (B, L)."""
        tokens = X.unsqueeze(-1) * self.embedding  # (B, L, d)
        for layer, (norm, query, key, value) in enumerate(
            zip(self.norms, self.query, self.key, self.value, strict=True)
        ):
            units = norm(tokens)
            attended = attention(query(units), key(units), value(units), scale=self.scale)
            tokens = tokens + attended if self.skip_connections and layer else attended
        return self.readout(self.dropout(tokens.mean(dim=1)))


class PlainTransformer(nn.Module):
    """All traits: X_i = g_i E_i; `torch.nn.TransformerEncoder`; mean over loci; linear readout."""

    def __init__(self, ours: Transformer) -> None:
        super().__init__()
        config = ours.config
        d = config.embedding_dim
        self.embedding = _own(ours.embedding)  # E (L, d)
        layer = nn.TransformerEncoderLayer(
            d_model=d,
            nhead=config.n_heads,
            dim_feedforward=config.feedforward_dim,
            dropout=config.dropout,
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(
            layer,
            num_layers=config.n_layers,
            norm=_norm(ours.final_norm_weight, ours.final_norm_bias),
            enable_nested_tensor=False,
        )
        for number, own in enumerate(self.encoder.layers):
            _copy_encoder_layer(own, ours, number)
        self.dropout = nn.Dropout(config.dropout)
        self.readout = _linear(ours.readout_weight, ours.readout_bias)

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs (B, T) for coded genotypes X (B, L)."""
        tokens = X.unsqueeze(-1) * self.embedding  # (B, L, d)
        return self.readout(self.dropout(self.encoder(tokens).mean(dim=1)))


_TWINS = {Rijal: PlainRijal, Canonical: PlainCanonical, Transformer: PlainTransformer}


def plain_copy(ours: nn.Module) -> nn.Module:
    """Return the plain network that computes what ``ours`` does, with a copy of its weights.

    Parameters
    ----------
    ours
        A `Rijal`, `Canonical` or `Transformer`, wherever its weights are.
    """
    return _TWINS[type(ours)](ours).to(ours.embedding.device).train(ours.training)


def _own(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone())


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return the map of our weight (inputs, outputs); PyTorch keeps its transpose."""
    made = nn.Linear(*weight.shape)
    _fill(made, weight.mT, bias)
    return made


def _norm(weight: Tensor, bias: Tensor) -> nn.LayerNorm:
    made = nn.LayerNorm(len(weight))
    _fill(made, weight, bias)
    return made


def _copy_encoder_layer(layer: nn.TransformerEncoderLayer, ours: Transformer, number: int) -> None:
    attention = layer.self_attn
    attention.in_proj_weight.data = ours.projection_weight[number].detach().mT.contiguous()
    attention.in_proj_bias.data = ours.projection_bias[number].detach().clone()
    parts = {
        "attention_norm": layer.norm1,
        "attention_out": attention.out_proj,
        "feedforward_norm": layer.norm2,
        "feedforward_in": layer.linear1,
        "feedforward_out": layer.linear2,
    }
    for name, part in parts.items():
        weight, bias = (getattr(ours, f"{name}_{kind}")[number] for kind in ("weight", "bias"))
        _fill(part, weight if name.endswith("norm") else weight.mT, bias)


def _fill(module: nn.Linear | nn.LayerNorm, weight: Tensor, bias: Tensor) -> None:
    module.weight.data = weight.detach().clone(memory_format=torch.contiguous_format)
    module.bias.data = bias.detach().clone()
