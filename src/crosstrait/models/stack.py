"""The stack: a weighted mean of other models, its weights learned from samples held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, SerializeAsAny

from crosstrait.errors import SettingsError
from crosstrait.models.base import Array, Estimator, ModelConfig
from crosstrait.models.nonnegative import minimise_nonnegative
from crosstrait.models.registry import parse_model

Float64 = NDArray[np.float64]

_HELD_OUT = 0.2  # of the samples, where the split names none
# A trait's own weights count as much as those of all traits when it has this many samples.
_SHARED_SAMPLES = 500
# Added to the models' variances, so that alike models share their weight.
_EVEN = 0.01


def _parsed(value: Any) -> Any:
    if isinstance(value, ModelConfig):
        return value
    try:
        return parse_model({"type": value} if isinstance(value, str) else dict(value))
    except SettingsError as error:
        raise ValueError(str(error)) from None
    except (TypeError, ValueError):
        raise ValueError("give the name of a model, or a table with its type") from None


def _default() -> tuple[ModelConfig, ...]:
    return tuple(_parsed(name) for name in ("residual", "gp", "trees"))


Stacked = Annotated[SerializeAsAny[ModelConfig], BeforeValidator(_parsed)]


class StackConfig(ModelConfig):
    """A weighted mean of models that fit themselves.

    Attributes
    ----------
    models
        Names of models, or tables with their ``type`` and settings. Networks that train under
        ``[train]`` cannot be stacked.
    """

    type: Literal["stack"] = "stack"
    models: tuple[Stacked, ...] = Field(default_factory=_default, min_length=2, max_length=20)

    def build(self, *, n_loci: int, n_traits: int) -> StackEstimator:
        """Return the unfitted estimator.

        Raises
        ------
        SettingsError
            If a model is a network, or needs a library that is not installed.
        """
        return StackEstimator(self, n_loci=n_loci, n_traits=n_traits)


class StackEstimator(Estimator):
    r"""A weighted mean of K models' predictions, its weights learned on samples held out.

    Each model learns without the validation samples (without a fifth of the samples, drawn by the
    seed, where there are none). The weights :math:`w_t \ge 0`, which sum to 1, minimise the
    squared error of :math:`\sum_k w_{tk} f_{tk}(x)` on those, each trait's drawn towards the
    weights that serve all traits best, which themselves are drawn towards equal shares. Then each
    model learns anew from all samples.

    Attributes
    ----------
    models
        The fitted models.
    weight
        (T, K), at least 0; they sum to 1 for each trait.

    References
    ----------
    Breiman 1996, Machine Learning 24:49 (stacked regressions, non-negative weights).
    """

    def __init__(self, config: StackConfig, *, n_loci: int, n_traits: int) -> None:
        self.config = config
        self._sizes = {"n_loci": n_loci, "n_traits": n_traits}
        self.models = self._untrained()
        self.weight: Float64 = np.full((n_traits, len(self.models)), 1 / len(self.models))

    def _untrained(self) -> list[Estimator]:
        models = []
        for config in self.config.models:
            model = config.build(**self._sizes)
            if not isinstance(model, Estimator):
                raise SettingsError(
                    f"stack: {config.type!r} is a network that trains under [train]; stack models "
                    f"that fit themselves, as residual, gp or trees"
                )
            models.append(model)
        return models

    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Learn the weights without the validation samples, then the models from all samples."""
        learn, judge = (X, Y), (X_validation, Y_validation)
        if not len(X_validation):
            held_out = np.zeros(len(X), dtype=bool)
            held_out[np.random.default_rng(seed).permutation(len(X))[: int(_HELD_OUT * len(X))]] = 1
            learn, judge = (X[~held_out], Y[~held_out]), (X[held_out], Y[held_out])
        nobody = learn[0][:0], learn[1][:0]
        predicted = []
        for model in self.models:
            model.fit(*learn, X_validation=nobody[0], Y_validation=nobody[1], seed=seed)
            predicted.append(model.predict(judge[0]))
        self._weigh(np.stack(predicted), judge[1])
        self.models = self._untrained()
        for model in self.models:
            model.fit(X, Y, X_validation=X_validation, Y_validation=Y_validation, seed=seed)

    def _weigh(self, predicted: Array, Y: Array) -> None:
        """Learn ``weight`` and ``held_out`` from predictions (K, n, T) of measurements (n, T)."""
        measured = ~np.isnan(Y)
        cells = predicted[:, measured]  # (K, C)
        equal = np.full(len(cells), 1 / len(cells))
        shared = _weights(cells, Y[measured], prior=equal, strength=_EVEN * cells.shape[1])
        for t, rows in enumerate(measured.T):
            self.weight[t] = _weights(
                predicted[:, rows, t], Y[rows, t], prior=shared, strength=_SHARED_SAMPLES
            )
        self.held_out = Y - np.einsum("tk,knt->nt", self.weight, predicted)

    def predict(self, X: Array) -> Float64:
        """Return predictions (n, T) for coded genotypes (n, L)."""
        weighted = [self.weight[:, k] * model.predict(X) for k, model in enumerate(self.models)]
        return np.asarray(np.sum(weighted, axis=0))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return ``weight`` and the state of each model, by its place."""
        state = {"weight": self.weight}
        for k, model in enumerate(self.models):
            state |= {f"{k}.{name}": array for name, array in model.state().items()}
        return state

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        self.weight = state["weight"]
        for k, model in enumerate(self.models):
            prefix = f"{k}."
            own = {
                name.removeprefix(prefix): array
                for name, array in state.items()
                if name.startswith(prefix)
            }
            model.load_state(own)


def _weights(predicted: Array, y: Array, *, prior: Float64, strength: float) -> Float64:
    r"""Return the weights w (K,) >= 0 of sum 1 that predict y (n,) best from ``predicted`` (K, n).

    They minimise :math:`|y - P^\top w|^2` plus the same for ``strength`` samples that are like
    the n in their predictions and that ``prior`` would predict without error.
    """
    n = len(y)
    products = predicted @ predicted.T
    variance = np.diag(products)
    if n == 0 or not (variance > 0).all():
        return prior
    drawn = strength / n * (products + _EVEN * np.diag(variance))
    quadratic = products + drawn + 1e-9 * np.diag(variance)
    return minimise_nonnegative(quadratic, predicted @ y + drawn @ prior, total=1.0)
