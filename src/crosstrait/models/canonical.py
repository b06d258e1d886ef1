"""The canonical multi-trait attention model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from crosstrait.models.attention import attend, layer_norm, linear
from crosstrait.models.base import ModelConfig
from crosstrait.models.members import Dropout, MemberNetwork


class CanonicalConfig(ModelConfig):
    """Single-head attention over loci for all traits at once.

    Attributes
    ----------
    embedding_dim
        Width d of a locus token.
    n_layers
        Attention layers, each with its own query, key and value maps.
    scaled_attention
        Divide the scores by sqrt(d).
    layer_norm
        Normalise the tokens before each attention.
    skip_connections
        Add a layer's input to its output, from the second layer on.
    dropout
        Share of the pooled units dropped in training.
    init_scale
        Standard deviation of the initial embedding and attention weights.
    """

    type: Literal["canonical"] = "canonical"
    embedding_dim: int = Field(default=128, ge=1)
    n_layers: int = Field(default=3, ge=1)
    scaled_attention: bool = False
    layer_norm: bool = False
    skip_connections: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)
    init_scale: float = Field(default=0.03, gt=0)

    train_defaults: ClassVar[Mapping[str, Any]] = {
        "max_epochs": 100,
        "batch_size": 64,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
    }

    def build(self, *, n_loci: int, n_traits: int) -> Canonical:
        """Return the untrained network, (B, n_loci) -> (B, n_traits)."""
        return Canonical(self, n_loci=n_loci, n_traits=n_traits)


class Canonical(MemberNetwork):
    """Attention layers over locus tokens, the mean over loci, one linear readout.

    With g (L,) the coded genotypes and E (L, d) the locus embedding::

        X_i = g_i E_i
        X <- [X +] softmax(s (N Wq + bq)(N Wk + bk)^T) (N Wv + bv)     N = X or its layer norm
        y = dropout(mean_i X_i) W + b

    where s is 1, or 1 / sqrt(d) with ``scaled_attention``, and the skip is off by default.
    """

    def __init__(self, config: CanonicalConfig, *, n_loci: int, n_traits: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = config.dropout
        n, d = config.n_layers, config.embedding_dim

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).normal_(0, config.init_scale))

        self.embedding = normal(n_loci, d)
        for name in ("query", "key", "value"):
            self.register_parameter(f"{name}_weight", normal(n, d, d))
            self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(n, d)))
        if config.layer_norm:
            self.norm_weight = nn.Parameter(torch.ones(n, d))
            self.norm_bias = nn.Parameter(torch.zeros(n, d))
        self.readout_weight = nn.Parameter(torch.empty(d, n_traits).uniform_(-(d**-0.5), d**-0.5))
        self.readout_bias = nn.Parameter(torch.empty(n_traits).uniform_(-(d**-0.5), d**-0.5))

    def members_forward(self, weights: Mapping[str, Tensor], X: Tensor, drop: Dropout) -> Tensor:
        """Return the outputs (M, B, T)."""
        config = self.config
        scale = config.embedding_dim**-0.5 if config.scaled_attention else 1.0
        by_layer = {
            name: weight.unbind(1)
            for name, weight in weights.items()
            if name.startswith(("query", "key", "value", "norm"))
        }
        tokens = X.unsqueeze(-1) * weights["embedding"].unsqueeze(1)  # (M, B, L, d)
        for layer in range(config.n_layers):
            own = {name: weight[layer] for name, weight in by_layer.items()}
            units = tokens
            if config.layer_norm:
                units = layer_norm(units, own["norm_weight"], own["norm_bias"])
            query, key, value = (
                linear(units, own[f"{name}_weight"], own[f"{name}_bias"])
                for name in ("query", "key", "value")
            )
            attended = attend(query, key, value, scale=scale)
            tokens = tokens + attended if config.skip_connections and layer > 0 else attended
        pooled = drop(tokens.mean(dim=2))  # (M, B, d)
        return linear(pooled, weights["readout_weight"], weights["readout_bias"])
