"""The sparse attention model: effects of loci, of the loci they attend to, and of all the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from crosstrait.models.base import Array, Estimator, ModelConfig
from crosstrait.models.member_weights import weigh_members
from crosstrait.models.pair_attention import PairAttention, fit_pair_attention
from crosstrait.models.residual import ResidualConfig
from crosstrait.models.search_space import Choice, SearchSpace

Float64 = NDArray[np.float64]

_ATTENTION = "centre", "pairs", "weight", "intercept"


class SparseAttentionConfig(ModelConfig):
    """Lasso effects, sparse attention of loci to loci, and an ensemble of multi-trait networks.

    Attributes
    ----------
    n_pairs
        Most pairs of loci that the lassos of one member choose from; 0 switches attention off.
    networks
        The ensemble, as in the residual model.
    """

    type: Literal["sparse_attention"] = "sparse_attention"
    n_pairs: int = Field(default=1500, ge=0, le=5000)
    networks: ResidualConfig = ResidualConfig()

    search_space: ClassVar[SearchSpace] = {"n_pairs": Choice((0, 500, 1500, 3000))}

    def build(self, *, n_loci: int, n_traits: int) -> SparseAttentionEstimator:
        """Return the unfitted estimator."""
        return SparseAttentionEstimator(self, n_loci=n_loci, n_traits=n_traits)


class SparseAttentionEstimator(Estimator):
    r"""Attention whose scores are learned in closed form, and networks, weighed together.

    Locus l attends to locus m with score :math:`A_{lm}`, the value of m is its genotype, and what
    l makes of it is in proportion to its own: :math:`x_l \sum_m A_{lm} x_m`, a layer of linear
    attention whose queries and values carry the genotypes and whose keys say which locus it is.
    So the effect of a locus depends on the partners that it attends to. (Where keys carry them
    too, as in the published models, :math:`x_m^2 = 1` takes the partner's genotype out of the
    sum, and interactions are left to the softmax's denominator and to later layers.) A
    transformer learns A, of rank d, by gradients through all :math:`L^2` pairs of every sample.
    Here A is sparse: the training data point at the pairs, and two lassos keep those that predict
    samples they have not seen. Every weight is then the interaction of two named loci.

    The prediction is the lasso effects, plus the attention of K members and K networks on the
    loci weighted by those effects (for interactions too many and too small to tell apart), each
    learned without one fold of the samples; those decide its share.

    Attributes
    ----------
    residual
        The additive effects and the networks; its own shares are not used.
    attention
        The attention of each member.
    share
        (2, K) weight of each attention and of each network, at least 0.

    References
    ----------
    Linear attention: Katharopoulos, Vyas, Pappas and Fleuret 2020, ICML, arXiv:2006.16236.
    """

    def __init__(self, config: SparseAttentionConfig, *, n_loci: int, n_traits: int) -> None:
        self.config = config
        self.residual = config.networks.build(n_loci=n_loci, n_traits=n_traits)
        n_members = len(config.networks.focus)
        self.share: Float64 = np.zeros((2, n_members))
        self.attention = PairAttention(
            centre=np.zeros(n_loci),
            pairs=np.zeros((0, 2), dtype=np.intp),
            weight=np.zeros((n_members, n_traits, 0)),
            intercept=np.zeros((n_members, n_traits)),
        )

    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Learn from training and validation samples together.

        Raises
        ------
        TrainingError
            If there are fewer samples than members, or the loss stops being finite.
        """
        X, Y = np.concatenate([X, X_validation]), np.concatenate([Y, Y_validation])
        folds = self.residual.cross_fit(X, Y, seed=seed)
        if self.config.n_pairs:
            self.attention = fit_pair_attention(
                X,
                folds.left,
                fold=folds.fold,
                importance=np.abs(self.residual.coef).sum(axis=0),
                n_pairs=self.config.n_pairs,
            )
        kinds = self.attention.members(X), self.residual.members(X)
        left = folds.own(folds.left)
        unseen = np.concatenate([folds.unseen, folds.unseen])
        self.share = weigh_members(np.concatenate(kinds), left, unseen=unseen).reshape(2, -1)
        self.held_out = left - sum(
            share.sum() * folds.own(outputs)
            for share, outputs in zip(self.share, kinds, strict=True)
        )

    def predict(self, X: Array) -> Float64:
        """Return predictions (n, T) for coded genotypes (n, L)."""
        attending, networks = self.share
        predicted: Float64 = self.residual.additive(X)
        predicted += np.tensordot(attending, self.attention.members(X), axes=1)
        return predicted + np.tensordot(networks, self.residual.members(X), axes=1)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the residual model learned, the attention and the shares."""
        attention = {f"attention.{n}": getattr(self.attention, n) for n in _ATTENTION}
        residual = {f"residual.{n}": array for n, array in self.residual.state().items()}
        return {"share": self.share} | attention | residual

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        self.share = state["share"]
        self.attention = PairAttention(**{n: state[f"attention.{n}"] for n in _ATTENTION})
        self.residual.load_state(
            {
                name.removeprefix("residual."): array
                for name, array in state.items()
                if name.startswith("residual.")
            }
        )
