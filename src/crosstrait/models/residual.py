"""The residual model: sparse additive effects, and a shared network for what they leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.optim.lr_scheduler import OneCycleLR

from crosstrait.errors import TrainingError
from crosstrait.models.base import Array, Estimator, ModelConfig
from crosstrait.models.lasso import draw_folds, fit_lasso
from crosstrait.models.member_weights import HeldOutFolds, weigh_members
from crosstrait.models.search_space import Choice, Real, SearchSpace, Whole

Float64 = NDArray[np.float64]
Power = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]

_PREDICTION_ROWS = 4096
# Errors count squared up to this many robust standard deviations, and then linearly: all but 5 %
# of the precision where noise is normal (Huber 1964, Annals of Mathematical Statistics 35:73).
_HUBER = 1.345
_MEDIAN_OF_NORMAL = 0.6745  # absolute value
_LEAST_BOUND = 0.01  # standard deviations of the trait
_MOST_STEPS = 256  # an epoch


class ResidualConfig(ModelConfig):
    """Lasso effects plus an ensemble of multi-trait networks on loci weighted by those effects.

    Attributes
    ----------
    focus
        Powers of the loci's weights, one a member of the ensemble: 0 lets a member see all loci
        alike, 1 sees each in proportion to its additive effects.
    width, depth
        Units of a hidden layer and number of hidden layers, skip connections from the second on.
    dropout
        Share of hidden units dropped in training.
    epochs, batch_size, learning_rate, weight_decay
        AdamW under a one-cycle schedule. A batch is larger where an epoch would have more than
        256 of them.
    average_decay
        Decay a step of the moving average of the weights that predicts.
    """

    type: Literal["residual"] = "residual"
    focus: tuple[Power, ...] = Field(
        default=(0.0, 0.75, 1.0, 1.25, 1.5), min_length=2, max_length=20
    )
    width: int = Field(default=128, ge=1)
    depth: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.2, ge=0, le=0.95)
    epochs: int = Field(default=25, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.3, ge=0)
    average_decay: float = Field(default=0.998, ge=0, lt=1)

    search_space: ClassVar[SearchSpace] = {
        "width": Choice((64, 128, 256)),
        "depth": Whole(low=2, high=6),
        "dropout": Real(low=0.0, high=0.5),
        "epochs": Whole(low=10, high=60, log=True),
        "batch_size": Choice((64, 128, 256)),
        "learning_rate": Real(low=1e-3, high=1e-2, log=True),
        "weight_decay": Real(low=0.03, high=1.0, log=True),
    }

    def build(self, *, n_loci: int, n_traits: int) -> ResidualEstimator:
        """Return the unfitted estimator."""
        return ResidualEstimator(self, n_loci=n_loci, n_traits=n_traits)


class Trunks(nn.Module):
    r"""K networks from weighted loci to all traits, in one batched pass.

    Member k computes :math:`h_1 = \phi(W_1 (w^{(k)} \odot x))`, then
    :math:`h_d = h_{d-1} + \phi(W_d h_{d-1})`, and :math:`V h_D + c`, where :math:`\phi` is SiLU
    followed by dropout and every matrix is the member's own.

    Attributes
    ----------
    locus_weight
        (K, 1, L) fixed weights w of the loci, of mean square 1.
    """

    locus_weight: Tensor

    def __init__(self, config: ResidualConfig, *, n_loci: int, n_traits: int) -> None:
        super().__init__()
        K, H = len(config.focus), config.width
        sizes = [n_loci] + [H] * config.depth
        self.dropout = config.dropout
        self.register_buffer("locus_weight", torch.ones(K, 1, n_loci))
        self.weight = nn.ParameterList(torch.randn(K, n, H) / n**0.5 for n in sizes[:-1])
        self.bias = nn.ParameterList(torch.zeros(K, 1, H) for _ in sizes[:-1])
        # Small, so that training starts from the additive effects.
        self.readout = nn.Parameter(torch.randn(K, H, n_traits) * 0.01 / H**0.5)
        self.offset = nn.Parameter(torch.zeros(K, 1, n_traits))

    def forward(self, X: Tensor) -> Tensor:
        """Return the members' outputs (K, B, T) for coded genotypes (B, L)."""
        hidden = X * self.locus_weight  # (K, B, L)
        for layer, (weight, bias) in enumerate(zip(self.weight, self.bias, strict=True)):
            units = F.silu(torch.baddbmm(bias, hidden, weight))  # (K, B, H)
            units = self._dropped(units) if self.training else units
            hidden = units if layer == 0 else hidden + units
        return torch.baddbmm(self.offset, hidden, self.readout)

    def _dropped(self, units: Tensor) -> Tensor:
        """Drop units, each by one random byte: a tenth of the cost of a random float."""
        dropped = round(256 * self.dropout)
        if dropped == 0:
            return units
        eight_bytes = torch.empty(-(-units.numel() // 8), dtype=torch.int64)
        drawn = eight_bytes.random_(-(2**63), None).view(torch.uint8)[: units.numel()]
        kept = (drawn >= dropped).to(units.dtype).mul_(256 / (256 - dropped))
        return units * kept.view_as(units)


class ResidualEstimator(Estimator):
    r"""Additive effects of all traits, and networks that learn what those leave, together.

    Member k predicts :math:`a_k + B_k x + f_k(w_k \odot x)`: lasso effects, and a network for
    what they leave. Its weight of locus l is :math:`(\sum_t |B_{k,tl}|)^{\gamma_k}`: where a locus
    acts on any trait, interactions on every trait are looked for (effect heredity), which is how
    traits learn from one another here. A member learns, effects included, without the samples of
    its own fold (the lassos' penalties alone are chosen by all), and those decide its network's
    share: the prediction is the mean over the effects of all members plus a weighted sum of their
    networks. Holes cost their cell in both parts.

    Attributes
    ----------
    coef, intercept
        (T, L) and (T,): the mean additive part.
    trunks
        The networks.
    share
        (K,) weight of each network, at least 0.

    References
    ----------
    Effect heredity: Chipman 1996, Canadian Journal of Statistics 24:17. One-cycle schedule: Smith
    and Topin 2019, arXiv:1708.07120. Averaged weights: Polyak and Juditsky 1992, SIAM J. Control
    Optim. 30:838.
    """

    def __init__(self, config: ResidualConfig, *, n_loci: int, n_traits: int) -> None:
        self.config = config
        self.coef: Float64 = np.zeros((n_traits, n_loci))
        self.intercept: Float64 = np.zeros(n_traits)
        self.share: Float64 = np.zeros(len(config.focus))
        self.trunks = self._untrained()

    def _untrained(self) -> Trunks:
        n_traits, n_loci = self.coef.shape
        return Trunks(self.config, n_loci=n_loci, n_traits=n_traits).eval()

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
        self.cross_fit(X, Y, seed=seed)

    def cross_fit(self, X: Array, Y: Array, *, seed: int) -> HeldOutFolds:
        """Learn, and return which member saw what and what its effects left to its network."""
        n_members = len(self.config.focus)
        if len(X) < n_members:
            raise TrainingError(
                f"residual: {len(X)} samples cannot be held out in {n_members} parts; give more "
                f"samples or fewer powers in focus"
            )
        fold = draw_folds(len(X), folds=n_members, seed=seed)
        lasso = fit_lasso(X, Y, fold=fold)
        self.coef, self.intercept = lasso.fold_coef.mean(axis=0), lasso.fold_intercept.mean(axis=0)
        left = np.stack(
            [
                Y - (X @ coef.T + a)
                for coef, a in zip(lasso.fold_coef, lasso.fold_intercept, strict=True)
            ]
        )  # (K, N, T)
        folds = HeldOutFolds(fold=fold, left=left)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.trunks = self._untrained()
            self.trunks.locus_weight.copy_(torch.from_numpy(self._locus_weight(lasso.fold_coef)))
            self._train(
                torch.from_numpy(np.asarray(X, dtype=np.float32)),
                torch.from_numpy(left.astype(np.float32)),
                torch.from_numpy(fold),
                bound=torch.from_numpy(_huber_bound(folds.own(left))),
            )
        networks = self.members(X)
        self.share = weigh_members(networks, folds.own(left), unseen=folds.unseen)
        self.held_out = folds.own(left) - self.share.sum() * folds.own(networks)
        return folds

    def _locus_weight(self, coef: Float64) -> NDArray[np.float32]:
        importance = np.abs(coef).sum(axis=1, keepdims=True)  # (K, 1, L)
        largest = importance.max(axis=2, keepdims=True)
        importance = np.where(largest > 0, importance / np.where(largest > 0, largest, 1), 1.0)
        weight = importance ** np.array(self.config.focus)[:, None, None]
        scaled = weight / np.sqrt((weight**2).mean(axis=2, keepdims=True))
        return np.asarray(scaled, dtype=np.float32)

    def _train(self, X: Tensor, left: Tensor, fold: Tensor, *, bound: Tensor) -> None:
        """Minimise the Huber loss of ``left`` (K, N, T), quadratic up to ``bound`` (T,)."""
        config, trunks = self.config, self.trunks.train()
        batch_size = max(config.batch_size, -(-len(X) // _MOST_STEPS))
        n_steps = config.epochs * -(-len(X) // batch_size)
        optimizer = torch.optim.AdamW(
            trunks.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=max(2, n_steps))
        average = [weight.detach().clone() for weight in trunks.parameters()]
        learns = fold != torch.arange(len(config.focus)).unsqueeze(1)  # (K, N)
        step = 0
        for epoch in range(config.epochs):
            total = torch.zeros(())
            for rows in torch.split(torch.randperm(len(X)), batch_size):
                target = left[:, rows]  # (K, B, T)
                counts = ~target.isnan() & learns[:, rows, None]
                error = torch.where(counts, trunks(X[rows]) - target, 0.0)
                inside = error.clamp(-bound, bound)
                losses = inside * (2 * error - inside)
                loss = (losses.sum(dim=(1, 2)) / counts.sum(dim=(1, 2)).clamp(min=1)).sum()
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
                total += loss.detach()
                step += 1
                # Short trainings average over what they have.
                decay = min(config.average_decay, (1 + step) / (10 + step))
                with torch.no_grad():
                    torch._foreach_lerp_(average, list(trunks.parameters()), 1 - decay)
            if not torch.isfinite(total):
                raise TrainingError(
                    f"residual: the training loss is not finite in epoch {epoch + 1} of "
                    f"{config.epochs}; lower learning_rate ({config.learning_rate:g})"
                )
        with torch.no_grad():
            for weight, mean in zip(trunks.parameters(), average, strict=True):
                weight.copy_(mean)
        trunks.eval()

    def predict(self, X: Array) -> Float64:
        """Return predictions (n, T) for coded genotypes (n, L)."""
        predicted: Float64 = self.additive(X) + np.tensordot(self.share, self.members(X), axes=1)
        return predicted

    def additive(self, X: Array) -> Float64:
        """Return the additive part (n, T) of the predictions."""
        additive: Float64 = X @ self.coef.T + self.intercept
        return additive

    def members(self, X: Array) -> Float64:
        """Return the outputs (K, n, T) of the networks for coded genotypes (n, L)."""
        outputs = np.empty((len(self.share), len(X), len(self.coef)))
        with torch.no_grad():
            for start in range(0, len(X), _PREDICTION_ROWS):
                block = slice(start, start + _PREDICTION_ROWS)
                rows = torch.from_numpy(np.asarray(X[block], dtype=np.float32))
                outputs[:, block] = self.trunks(rows).numpy()
        return outputs

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the effects, the shares and the weights of the networks."""
        weights = self.trunks.state_dict().items()
        return {
            "coef": self.coef,
            "intercept": self.intercept,
            "share": self.share,
        } | {f"trunks.{name}": tensor.numpy() for name, tensor in weights}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        self.coef, self.intercept = state["coef"], state["intercept"]
        self.share = state["share"]
        weights = {
            name.removeprefix("trunks."): torch.from_numpy(np.array(array))
            for name, array in state.items()
            if name.startswith("trunks.")
        }
        self.trunks.load_state_dict(weights)


def _huber_bound(errors: Array) -> NDArray[np.float32]:
    """Return the error (T,) of each trait up to which the loss is quadratic."""
    bound = np.full(errors.shape[1], np.inf)
    for t, column in enumerate(errors.T):
        measured = column[~np.isnan(column)]
        if len(measured):
            robust_sd = np.median(np.abs(measured)) / _MEDIAN_OF_NORMAL
            bound[t] = max(_HUBER * robust_sd, _LEAST_BOUND)
    return bound.astype(np.float32)
