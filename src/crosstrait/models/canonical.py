"""The canonical multi-trait attention model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from crosstrait.models.base import ModelConfig
from crosstrait.models.canonical_layer import CanonicalLayer
from crosstrait.models.members import Dropout, MemberNetwork
from crosstrait.models.products import linear
from crosstrait.models.search_space import NETWORK_TRAINING, Choice, Real, SearchSpace, Whole


class CanonicalConfig(ModelConfig):
    """Single-head attention over loci for all traits at once.

    The defaults are the published model. Its settings lead, one change at a time, from `rijal`
    (``bias = "column"``, ``readout = "locus"``, ``per_trait``) to nearly a transformer layer.

    Attributes
    ----------
    embedding_dim
        Width d of a locus token.
    n_layers
        Attention layers, each with its own query, key and value maps.
    learned_embedding
        Learn the locus embedding; otherwise every locus keeps a random vector of about unit length.
    bias
        ``linear``: each map has a bias; ``column``: none has, and the last component of every
        token is the constant 1, as in `rijal`.
    scaled_attention
        Divide the scores by sqrt(d).
    layer_norm
        Normalise the tokens before each attention and feed-forward.
    skip_connections
        Add a layer's input to its output, from the second layer on, and in feed-forwards.
    feedforward_dim
        Hidden units of a ReLU feed-forward after each attention; 0 is none.
    readout
        ``mean``: a linear map of the mean token; ``locus``: every locus has its own weights.
    per_trait
        One network a trait, as `rijal`, not one for all traits.
    dropout
        Share of the units that the readout reads dropped in training.
    init_scale
        Standard deviation of the initial embedding, attention weights and per-locus readout.
    """

    type: Literal["canonical"] = "canonical"
    embedding_dim: int = Field(default=128, ge=1)
    n_layers: int = Field(default=3, ge=1)
    learned_embedding: bool = True
    bias: Literal["linear", "column"] = "linear"
    scaled_attention: bool = False
    layer_norm: bool = False
    skip_connections: bool = False
    feedforward_dim: int = Field(default=0, ge=0)
    readout: Literal["mean", "locus"] = "mean"
    per_trait: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)
    init_scale: float = Field(default=0.03, gt=0)

    network: ClassVar[bool] = True

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

    @model_validator(mode="after")
    def _the_column_stays_constant(self) -> Self:
        if self.bias == "column" and self.layer_norm:
            raise ValueError(
                "layer_norm = true would rescale the constant component that bias = 'column' "
                "relies on; use bias = 'linear'"
            )
        if self.bias == "column" and self.embedding_dim < 2:
            raise ValueError("bias = 'column' takes one of embedding_dim = 1 components; use 2")
        return self

    @property
    def single_trait(self) -> bool:
        """Whether one network serves one trait."""
        return self.per_trait

    def build(self, *, n_loci: int, n_traits: int) -> Canonical:
        """Return the untrained network, (B, n_loci) -> (B, n_traits)."""
        return Canonical(self, n_loci=n_loci, n_traits=n_traits)


class Canonical(MemberNetwork):
    """Attention layers over locus tokens, the mean over loci, one linear readout.

    With g (L,) the coded genotypes and E (L, d) the locus embedding::

        X_i = g_i E_i                               or [g_i E_i, 1] with ``bias = "column"``
        X <- [X +] softmax(s (N Wq + bq)(N Wk + bk)^T) (N Wv + bv)     N = X or its layer norm
        X <- [X +] relu(N W1 + b1) W2 + b2                  with ``feedforward_dim``
        y = dropout(mean_i X_i) W + b               or dropout(X) . W + b, W (L, d, T)

    where s is 1, or 1 / sqrt(d) with ``scaled_attention``, and the skip is off by default.
    """

    def __init__(self, config: CanonicalConfig, *, n_loci: int, n_traits: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = config.dropout
        n, d, hidden = config.n_layers, config.embedding_dim, config.feedforward_dim
        column = config.bias == "column"

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).normal_(0, config.init_scale))

        def uniform(*shape: int, inputs: int) -> nn.Parameter:
            bound = inputs**-0.5
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        self.embedding = normal(n_loci, d - column)
        if not config.learned_embedding:
            # Of unit length: what cannot grow would stay as faint as it starts.
            with torch.no_grad():
                self.embedding.div_(config.init_scale * (d - column) ** 0.5)
            self.embedding.requires_grad_(False)
        for name in ("query", "key", "value"):
            self.register_parameter(f"{name}_weight", normal(n, d, d))
            if not column:
                self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(n, d)))
        if hidden:
            self.feedforward_in_weight = uniform(n, d, hidden, inputs=d)
            self.feedforward_in_bias = uniform(n, hidden, inputs=d)
            self.feedforward_out_weight = uniform(n, hidden, d, inputs=hidden)
            self.feedforward_out_bias = uniform(n, d, inputs=hidden)
        if config.layer_norm:
            for name in ("norm", "feedforward_norm") if hidden else ("norm",):
                self.register_parameter(f"{name}_weight", nn.Parameter(torch.ones(n, d)))
                self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(n, d)))
        self._by_layer = tuple(name for name, _ in self.named_parameters())[1:]
        if config.readout == "locus":
            self.readout_weight = normal(n_loci, d, n_traits)
            self.readout_bias = normal(n_traits)
        else:
            self.readout_weight = uniform(d, n_traits, inputs=d)
            self.readout_bias = uniform(n_traits, inputs=d)

    def members_forward(self, weights: Mapping[str, Tensor], X: Tensor, drop: Dropout) -> Tensor:
        """Return the outputs (M, B, T)."""
        by_layer = zip(*(weights[name].unbind(1) for name in self._by_layer), strict=True)
        first, *others = (
            CanonicalLayer(self.config, dict(zip(self._by_layer, own, strict=True)))
            for own in by_layer
        )
        tokens = first.of_loci(X, weights["embedding"])  # (M, B, L, d)
        for layer in others[:-1]:
            tokens = layer.of_tokens(tokens)
        bias = weights["readout_bias"]
        if "key_bias" in weights:
            # A bias of the keys adds a constant to all scores of a query, which no softmax
            # shows; the layers leave it out, and here it gets its zero gradient.
            bias = bias + 0.0 * weights["key_bias"].sum((1, 2)).unsqueeze(-1)
        if self.config.readout == "locus":
            for layer in others[-1:]:
                tokens = layer.of_tokens(tokens)
            readout = weights["readout_weight"].flatten(1, 2)  # (M, L d, T)
            return linear(drop(tokens).flatten(2), readout, bias)
        pooled = others[-1].pooled(tokens) if others else tokens.mean(dim=2)  # (M, B, d)
        return linear(drop(pooled), weights["readout_weight"], bias)
