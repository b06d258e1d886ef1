"""The single-trait attention model of Rijal et al. 2025."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from crosstrait.errors import SettingsError
from crosstrait.models.attention import attend
from crosstrait.models.base import ModelConfig
from crosstrait.models.locus_attention import attend_loci
from crosstrait.models.members import Dropout, MemberNetwork
from crosstrait.models.products import linear
from crosstrait.models.search_space import NETWORK_TRAINING, SearchSpace, Whole


class RijalConfig(ModelConfig):
    """Attention over loci, one network a trait (Rijal et al. 2025).

    Attributes
    ----------
    embedding_dim
        Width d of a locus token, of which the last component is the constant 1.
    n_layers
        Attention layers, each with its own query, key and value maps.
    init_scale
        Standard deviation of all initial weights.
    """

    type: Literal["rijal"] = "rijal"
    embedding_dim: int = Field(default=13, ge=2)
    n_layers: int = Field(default=3, ge=1)
    init_scale: float = Field(default=0.03, gt=0)

    network: ClassVar[bool] = True

    train_defaults: ClassVar[Mapping[str, Any]] = {
        "max_epochs": 200,
        "batch_size": 64,
        "optimizer": "adam",
        "learning_rate": 1e-3,
    }
    search_space: ClassVar[SearchSpace] = {
        "embedding_dim": Whole(low=6, high=30),
        "n_layers": Whole(low=1, high=4),
        **NETWORK_TRAINING,
    }

    @property
    def single_trait(self) -> bool:
        """True: a rijal network predicts one trait."""
        return True

    def build(self, *, n_loci: int, n_traits: int = 1) -> Rijal:
        """Return the untrained network, (B, n_loci) -> (B, 1)."""
        if n_traits != 1:
            raise SettingsError(f"a rijal network predicts one trait, not {n_traits}: fit one each")
        return Rijal(self, n_loci=n_loci)


class Rijal(MemberNetwork):
    """Three layers of unscaled, bias-free attention and a linear readout.

    With g (L,) the coded genotypes, R (L, d-1) the locus embedding and C (L, d) the readout::

        X = [g_i R_i, 1]                                   token of locus i
        X <- softmax((X Wq)(X Wk)^T) (X Wv)                each layer, softmax over the keys
        y = sum_ij X_ij C_ij + b
    """

    def __init__(self, config: RijalConfig, *, n_loci: int) -> None:
        super().__init__()
        d = config.embedding_dim
        shapes = {
            "embedding": (n_loci, d - 1),
            "query": (config.n_layers, d, d),
            "key": (config.n_layers, d, d),
            "value": (config.n_layers, d, d),
            "readout": (n_loci, d),
            "offset": (1,),
        }
        for name, shape in shapes.items():
            weight = torch.empty(shape).normal_(0, config.init_scale)
            self.register_parameter(name, nn.Parameter(weight))

    def members_forward(self, weights: Mapping[str, Tensor], X: Tensor, drop: Dropout) -> Tensor:  # noqa: ARG002
        """Return the outputs (M, B, 1); the model has no dropout."""
        embedding = weights["embedding"]
        maps = (weights[name].unbind(1) for name in ("query", "key", "value"))
        first, *others = zip(*maps, strict=True)
        # The last row of a map meets the constant component of every token.
        query, key, value = ((embedding @ own[:, :-1]).unsqueeze(1) for own in first)
        constant = [own[:, -1:] for own in first]
        tokens = attend_loci(X, query, key, value, constant[0]) + constant[2].unsqueeze(1)
        for layer in others:
            projected = linear(tokens, torch.cat(layer, dim=-1))
            tokens = attend(*projected.chunk(3, dim=-1))  # (M, B, L, d)
        readout = weights["readout"].flatten(1).unsqueeze(-1)  # (M, L d, 1)
        return linear(tokens.flatten(2), readout, weights["offset"])
