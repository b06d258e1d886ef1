"""The canonical multi-trait attention model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from crosstrait.models.attention import attend, layer_norm, scaled_tokens
from crosstrait.models.base import ModelConfig
from crosstrait.models.locus_attention import attend_loci
from crosstrait.models.members import Dropout, MemberNetwork
from crosstrait.models.pooled_attention import attend_mean
from crosstrait.models.products import linear
from crosstrait.models.search_space import NETWORK_TRAINING, Choice, Real, SearchSpace, Whole


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
    search_space: ClassVar[SearchSpace] = {
        "embedding_dim": Choice((16, 32, 64, 128)),
        "n_layers": Whole(low=1, high=4),
        "dropout": Real(low=0.0, high=0.4),
        "train.weight_decay": Real(low=1e-3, high=0.3, log=True),
        **NETWORK_TRAINING,
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
        names = [name for name in weights if name.startswith(("query", "key", "value", "norm"))]
        by_layer = zip(*(weights[name].unbind(1) for name in names), strict=True)
        first, *others = (
            _Layer(self.config, dict(zip(names, own, strict=True))) for own in by_layer
        )
        tokens = first.of_loci(X, weights["embedding"])  # (M, B, L, d)
        for layer in others[:-1]:
            tokens = layer.of_tokens(tokens)
        pooled = others[-1].pooled(tokens) if others else tokens.mean(dim=2)  # (M, B, d)
        # A bias of the keys adds a constant to all scores of a query, which no softmax shows; it
        # is left out above and gets its zero gradient here.
        bias = weights["readout_bias"] + 0.0 * weights["key_bias"].sum((1, 2)).unsqueeze(-1)
        return linear(drop(pooled), weights["readout_weight"], bias)


class _Layer:
    """One attention layer of M members: weights (M, d, d) and biases (M, d) by name."""

    def __init__(self, config: CanonicalConfig, weights: Mapping[str, Tensor]) -> None:
        self.config = config
        self.weights = weights
        self.scale = config.embedding_dim**-0.5 if config.scaled_attention else 1.0
        # (x Wq + bq)(y Wk)^T = (x Wq Wk^T + bq Wk^T) y^T: the keys are the tokens themselves.
        key = weights["key_weight"].mT
        self.query_weight = weights["query_weight"] @ key
        self.query_bias = (weights["query_bias"].unsqueeze(1) @ key).squeeze(1)
        self.value_weight, self.value_bias = weights["value_weight"], weights["value_bias"]

    def of_loci(self, X: Tensor, embedding: Tensor) -> Tensor:
        """Return the tokens (M, B, L, d) after this layer as the first one, without skip."""
        loadings, loci, query_bias, value_bias = X, embedding, self.query_bias, self.value_bias
        if self.config.layer_norm:
            loadings, loci = scaled_tokens(X, embedding)
            loci = loci * self.weights["norm_weight"].unsqueeze(1)
            constant = self.weights["norm_bias"]
            query_bias = linear(constant, self.query_weight, self.query_bias)
            value_bias = linear(constant, self.value_weight, self.value_bias)
        tokens = attend_loci(
            loadings,
            (loci @ self.query_weight).unsqueeze(1),
            loci.unsqueeze(1),
            (loci @ self.value_weight).unsqueeze(1),
            query_bias.unsqueeze(1),
            scale=self.scale,
        )
        return tokens + value_bias[:, None, None]

    def of_tokens(self, tokens: Tensor) -> Tensor:
        """Return the tokens (M, B, L, d) after this layer."""
        units, query = self._units_and_query(tokens)
        value = linear(units, self.value_weight, self.value_bias)
        attended = attend(query, units, value, scale=self.scale)
        return tokens + attended if self.config.skip_connections else attended

    def pooled(self, tokens: Tensor) -> Tensor:
        """Return the mean over loci (M, B, d) of the tokens after this layer."""
        units, query = self._units_and_query(tokens)
        pooled = attend_mean(query, units, units, scale=self.scale)
        attended = linear(pooled, self.value_weight, self.value_bias)
        return tokens.mean(dim=2) + attended if self.config.skip_connections else attended

    def _units_and_query(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        if self.config.layer_norm:
            tokens = layer_norm(tokens, self.weights["norm_weight"], self.weights["norm_bias"])
        return tokens, linear(tokens, self.query_weight, self.query_bias)
