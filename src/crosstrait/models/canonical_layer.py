"""One layer of the canonical model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from crosstrait.models.attention import attend, layer_norm, scaled_tokens
from crosstrait.models.locus_attention import attend_loci
from crosstrait.models.pooled_attention import attend_mean
from crosstrait.models.products import linear

if TYPE_CHECKING:
    from crosstrait.models.canonical import CanonicalConfig


class CanonicalLayer:
    """One layer of M members: weights (M, d, d) and biases (M, d) by name.

    Without biases, the tokens of the first layer end in the constant 1.
    """

    def __init__(self, config: CanonicalConfig, weights: Mapping[str, Tensor]) -> None:
        self.config = config
        self.weights = weights
        self.scale = config.embedding_dim**-0.5 if config.scaled_attention else 1.0
        # (x Wq + bq)(y Wk)^T = (x Wq Wk^T + bq Wk^T) y^T: the keys are the tokens themselves.
        key = weights["key_weight"].mT
        self.query_weight = weights["query_weight"] @ key
        self.value_weight, self.value_bias = weights["value_weight"], weights.get("value_bias")
        self.query_bias: Tensor | None = None
        if "query_bias" in weights:
            self.query_bias = (weights["query_bias"].unsqueeze(1) @ key).squeeze(1)

    def of_loci(self, X: Tensor, embedding: Tensor) -> Tensor:
        """Return the tokens (M, B, L, d) after this layer as the first one, without skip."""
        loadings, loci, query_weight, value_weight = (
            X,
            embedding,
            self.query_weight,
            self.value_weight,
        )
        if self.query_bias is None or self.value_bias is None:
            # The last row of a map meets the constant; the last column of the keys is that row,
            # a constant added to all scores of a query, which no softmax shows.
            query_bias, query_weight = query_weight[:, -1, :-1], query_weight[:, :-1, :-1]
            value_bias, value_weight = value_weight[:, -1], value_weight[:, :-1]
        else:
            query_bias, value_bias = self.query_bias, self.value_bias
        if self.config.layer_norm:
            loadings, loci = scaled_tokens(X, embedding)
            loci = loci * self.weights["norm_weight"].unsqueeze(1)
            constant = self.weights["norm_bias"]
            query_bias = linear(constant, query_weight, query_bias)
            value_bias = linear(constant, value_weight, value_bias)
        tokens = attend_loci(
            loadings,
            (loci @ query_weight).unsqueeze(1),
            loci.unsqueeze(1),
            (loci @ value_weight).unsqueeze(1),
            query_bias.unsqueeze(1),
            scale=self.scale,
        )
        return self._fed(tokens + value_bias[:, None, None])

    def of_tokens(self, tokens: Tensor) -> Tensor:
        """Return the tokens (M, B, L, d) after this layer."""
        units, query = self._units_and_query(tokens)
        value = linear(units, self.value_weight, self.value_bias)
        attended = attend(query, units, value, scale=self.scale)
        return self._fed(tokens + attended if self.config.skip_connections else attended)

    def pooled(self, tokens: Tensor) -> Tensor:
        """Return the mean over loci (M, B, d) of the tokens after this layer."""
        if self.config.feedforward_dim:
            return self.of_tokens(tokens).mean(dim=2)
        units, query = self._units_and_query(tokens)
        pooled = attend_mean(query, units, units, scale=self.scale)
        attended = linear(pooled, self.value_weight, self.value_bias)
        return tokens.mean(dim=2) + attended if self.config.skip_connections else attended

    def _units_and_query(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        units = self._normed(tokens, "norm")
        return units, linear(units, self.query_weight, self.query_bias)

    def _fed(self, tokens: Tensor) -> Tensor:
        """Return the tokens after the feed-forward, if there is one."""
        if not self.config.feedforward_dim:
            return tokens
        units = self._normed(tokens, "feedforward_norm")
        into, out = (
            [self.weights[f"feedforward_{way}_{part}"] for part in ("weight", "bias")]
            for way in ("in", "out")
        )
        fed = linear(torch.relu(linear(units, *into)), *out)
        return tokens + fed if self.config.skip_connections else fed

    def _normed(self, tokens: Tensor, name: str) -> Tensor:
        if not self.config.layer_norm:
            return tokens
        return layer_norm(tokens, self.weights[f"{name}_weight"], self.weights[f"{name}_bias"])
