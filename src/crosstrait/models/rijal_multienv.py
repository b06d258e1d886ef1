"""The all-environments attention model of Rijal et al. 2025."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from crosstrait.models.attention import attend
from crosstrait.models.base import ModelConfig
from crosstrait.models.members import Dropout, MemberNetwork
from crosstrait.models.products import linear
from crosstrait.models.search_space import NETWORK_TRAINING, SearchSpace, Whole


class RijalMultienvConfig(ModelConfig):
    """Attention over loci and one environment token (Rijal et al. 2025); traits = environments.

    Attributes
    ----------
    locus_dim
        Components of a token that hold the locus; its width is ``locus_dim + E + 1`` with E
        environments.
    n_layers
        Attention layers, each with its own query, key and value maps.
    init_scale
        Standard deviation of all initial weights.
    """

    type: Literal["rijal_multienv"] = "rijal_multienv"
    locus_dim: int = Field(default=12, ge=1)
    n_layers: int = Field(default=3, ge=1)
    init_scale: float = Field(default=0.03, gt=0)

    network: ClassVar[bool] = True

    # The published batch holds 4 segregants of each environment.
    train_defaults: ClassVar[Mapping[str, Any]] = {
        "max_epochs": 200,
        "batch_size": 4,
        "optimizer": "adam",
        "learning_rate": 1e-3,
    }
    search_space: ClassVar[SearchSpace] = {
        "locus_dim": Whole(low=6, high=30),
        "n_layers": Whole(low=1, high=4),
        **NETWORK_TRAINING,
    }

    def build(self, *, n_loci: int, n_traits: int) -> RijalMultienv:
        """Return the untrained network, (B, n_loci) -> (B, n_traits), a trait an environment."""
        return RijalMultienv(self, n_loci=n_loci, n_environments=n_traits)


class RijalMultienv(MemberNetwork):
    """`Rijal` with a token for the environment, evaluated in all E environments.

    With d = K + E + 1 and one scalar out for each pair of genotype and environment e::

        X_i = [g_i R_i, 0, 1]                              token of locus i, R (L, K)
        X_{L+1} = [0, one-hot(e), 1]                       token of the environment
        X <- softmax((X Wq)(X Wk)^T) (X Wv)                each layer
        y_e = sum_ij X_ij C_ij + b                         C (L + 1, d)
    """

    def __init__(self, config: RijalMultienvConfig, *, n_loci: int, n_environments: int) -> None:
        super().__init__()
        self.n_environments = n_environments
        d = config.locus_dim + n_environments + 1
        shapes = {
            "embedding": (n_loci, config.locus_dim),
            "query": (config.n_layers, d, d),
            "key": (config.n_layers, d, d),
            "value": (config.n_layers, d, d),
            "readout": (n_loci + 1, d),
            "offset": (1,),
        }
        for name, shape in shapes.items():
            weight = torch.empty(shape).normal_(0, config.init_scale)
            self.register_parameter(name, nn.Parameter(weight))

    def members_forward(self, weights: Mapping[str, Tensor], X: Tensor, drop: Dropout) -> Tensor:  # noqa: ARG002
        """Return the outputs (M, B, E); the model has no dropout."""
        tokens = self._tokens(weights["embedding"], X).flatten(1, 2)  # (M, B E, L + 1, d)
        maps = (weights[name].unbind(1) for name in ("query", "key", "value"))
        for layer in zip(*maps, strict=True):
            projected = linear(tokens, torch.cat(layer, dim=-1))
            tokens = attend(*projected.chunk(3, dim=-1))
        readout = weights["readout"].flatten(1).unsqueeze(-1)  # (M, (L + 1) d, 1)
        read = linear(tokens.flatten(2), readout, weights["offset"])  # (M, B E, 1)
        return read.view(*X.shape[:2], -1)

    def _tokens(self, embedding: Tensor, X: Tensor) -> Tensor:
        E, K = self.n_environments, embedding.shape[-1]
        M, B, L = X.shape
        tokens = X.new_zeros(M, B, E, L + 1, K + E + 1)
        tokens[..., :L, :K] = (X.unsqueeze(-1) * embedding.unsqueeze(1)).unsqueeze(2)
        tokens[..., L, K : K + E] = torch.eye(E, dtype=X.dtype, device=X.device)
        tokens[..., -1] = 1.0
        return tokens
