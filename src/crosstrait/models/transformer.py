"""The vanilla pre-norm transformer over locus tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from crosstrait.models.attention import scaled_tokens
from crosstrait.models.base import ModelConfig
from crosstrait.models.encoder import encoder_layer, feed_forward
from crosstrait.models.locus_attention import attend_loci
from crosstrait.models.members import Dropout, MemberNetwork
from crosstrait.models.pooled_norm import mean_norm
from crosstrait.models.products import linear
from crosstrait.models.search_space import NETWORK_TRAINING, Choice, Real, SearchSpace, Whole


class TransformerConfig(ModelConfig):
    """Pre-norm transformer encoder over loci for all traits at once; no positional encoding.

    Attributes
    ----------
    embedding_dim
        Width d of a locus token.
    n_heads
        Attention heads; they divide ``embedding_dim``.
    n_layers
        Encoder layers.
    feedforward_dim
        Hidden units of the feed-forward of a layer.
    dropout
        Share of units dropped in training: feed-forward hidden units, the output of each branch,
        the pooled units. Attention weights are never dropped.
    """

    type: Literal["transformer"] = "transformer"
    embedding_dim: int = Field(default=256, ge=1)
    n_heads: int = Field(default=4, ge=1)
    n_layers: int = Field(default=3, ge=1)
    feedforward_dim: int = Field(default=1024, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    network: ClassVar[bool] = True

    train_defaults: ClassVar[Mapping[str, Any]] = {
        "max_epochs": 80,
        "batch_size": 64,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
    }
    search_space: ClassVar[SearchSpace] = {
        "embedding_dim": Choice((24, 48, 96, 192)),
        "n_layers": Whole(low=1, high=4),
        "feedforward_dim": Whole(low=32, high=1024, log=True),
        "dropout": Real(low=0.0, high=0.4),
        "train.weight_decay": Real(low=1e-3, high=0.3, log=True),
        **NETWORK_TRAINING,
    }

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.embedding_dim % self.n_heads:
            raise ValueError(
                f"n_heads = {self.n_heads} does not divide embedding_dim = {self.embedding_dim}; "
                "each head takes an equal part of the width"
            )
        return self

    def build(self, *, n_loci: int, n_traits: int) -> Transformer:
        """Return the untrained network, (B, n_loci) -> (B, n_traits)."""
        return Transformer(self, n_loci=n_loci, n_traits=n_traits)


class Transformer(MemberNetwork):
    """PyTorch's pre-norm encoder layers, a final norm, the mean over loci, one linear readout.

    With g (L,) the coded genotypes and E (L, d) the locus embedding::

        X_i = g_i E_i
        X <- X + multi-head-attention(norm(X))             1 / sqrt(d / heads) in the scores
        X <- X + relu(norm(X) W1 + b1) W2 + b2
        y = dropout(mean_i norm(X)_i) W + b
    """

    def __init__(self, config: TransformerConfig, *, n_loci: int, n_traits: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = config.dropout
        n, d, hidden = config.n_layers, config.embedding_dim, config.feedforward_dim

        def uniform(*shape: int, bound: float) -> Tensor:
            return torch.empty(shape).uniform_(-bound, bound)

        # `nn.TransformerEncoder` copies one layer, so all layers start equal; so do these.
        layer = {
            "attention_norm_weight": torch.ones(d),
            "attention_norm_bias": torch.zeros(d),
            "projection_weight": uniform(d, 3 * d, bound=(6 / (d + 3 * d)) ** 0.5),  # Xavier
            "projection_bias": torch.zeros(3 * d),
            "attention_out_weight": uniform(d, d, bound=d**-0.5),
            "attention_out_bias": torch.zeros(d),
            "feedforward_norm_weight": torch.ones(d),
            "feedforward_norm_bias": torch.zeros(d),
            "feedforward_in_weight": uniform(d, hidden, bound=d**-0.5),
            "feedforward_in_bias": uniform(hidden, bound=d**-0.5),
            "feedforward_out_weight": uniform(hidden, d, bound=hidden**-0.5),
            "feedforward_out_bias": uniform(d, bound=hidden**-0.5),
        }
        self._by_layer = tuple(layer)
        self.embedding = nn.Parameter(torch.randn(n_loci, d))
        for name, weight in layer.items():
            self.register_parameter(name, nn.Parameter(torch.stack([weight] * n)))
        self.final_norm_weight = nn.Parameter(torch.ones(d))
        self.final_norm_bias = nn.Parameter(torch.zeros(d))
        self.readout_weight = nn.Parameter(uniform(d, n_traits, bound=d**-0.5))
        self.readout_bias = nn.Parameter(uniform(n_traits, bound=d**-0.5))

    def members_forward(self, weights: Mapping[str, Tensor], X: Tensor, drop: Dropout) -> Tensor:
        """Return the outputs (M, B, T)."""
        by_layer = {name: weights[name].unbind(1) for name in self._by_layer}
        tokens = X.unsqueeze(-1) * weights["embedding"].unsqueeze(1)  # (M, B, L, d)
        for layer in range(self.config.n_layers):
            own = {name: weight[layer] for name, weight in by_layer.items()}
            if layer == 0:
                attended, own = self._attention_to_loci(X, weights["embedding"], own)
                tokens = feed_forward(tokens, attended, own, drop=drop)
            else:
                tokens = encoder_layer(tokens, own, n_heads=self.config.n_heads, drop=drop)
        pooled = mean_norm(tokens, weights["final_norm_weight"], weights["final_norm_bias"])
        return linear(drop(pooled), weights["readout_weight"], weights["readout_bias"])

    def _attention_to_loci(
        self, X: Tensor, embedding: Tensor, own: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the first layer's attention, and its weights for `feed_forward`.

        The bias of the values comes out of the softmax unchanged, and goes into the next bias.
        """
        loadings, loci = scaled_tokens(X, embedding)
        loci = loci * own["attention_norm_weight"].unsqueeze(1)
        query, key, value = (
            part.view(*part.shape[:-1], self.config.n_heads, -1).transpose(1, 2)
            for part in (loci @ own["projection_weight"]).chunk(3, dim=-1)
        )  # (M, heads, L, d / heads)
        constant = linear(
            own["attention_norm_bias"], own["projection_weight"], own["projection_bias"]
        )
        query_bias, _, value_bias = constant.chunk(3, dim=-1)
        query_bias = query_bias.view(len(X), self.config.n_heads, -1)
        attended = attend_loci(
            loadings, query, key, value, query_bias, scale=query.shape[-1] ** -0.5
        )
        bias = linear(value_bias, own["attention_out_weight"], own["attention_out_bias"])
        return attended, {**own, "attention_out_bias": bias}
