"""A model of its own for each trait: what learning the traits together is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from crosstrait.models.base import Array, Estimator, ModelConfig


def build_for(
    config: ModelConfig, *, n_loci: int, n_traits: int, one_a_trait: bool = False
) -> nn.Module | Estimator:
    """Build an untrained model of ``n_traits`` traits.

    A config of single-trait networks gives one network for one trait, and so does any network
    with ``one_a_trait``: training makes one a trait. An estimator then is an `OneATrait`.
    """
    if not (one_a_trait or config.single_trait):
        return config.build(n_loci=n_loci, n_traits=n_traits)
    model = config.build(n_loci=n_loci, n_traits=1)
    if not isinstance(model, Estimator):
        return model
    return OneATrait(config, n_loci=n_loci, n_traits=n_traits)


class OneATrait(Estimator):
    """An estimator for each of T traits, which sees that trait's measured samples alone.

    Attributes
    ----------
    members
        The T estimators.
    """

    def __init__(self, config: ModelConfig, *, n_loci: int, n_traits: int) -> None:
        self.members: list[Estimator] = []
        for _ in range(n_traits):
            member = config.build(n_loci=n_loci, n_traits=1)
            assert isinstance(member, Estimator)
            self.members.append(member)

    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Fit every estimator to its trait, all with the same seed."""
        held_out: list[Array] = []
        for t, member in enumerate(self.members):
            rows, validating = (~np.isnan(values[:, t]) for values in (Y, Y_validation))
            member.fit(
                X[rows],
                Y[rows, t : t + 1],
                X_validation=X_validation[validating],
                Y_validation=Y_validation[validating, t : t + 1],
                seed=seed,
            )
            if member.held_out is not None:
                held_out.append(member.held_out[:, 0])
        if len(held_out) == len(self.members):
            errors = np.full((max(map(len, held_out)), len(held_out)), np.nan)
            for t, own in enumerate(held_out):
                errors[: len(own), t] = own
            self.held_out = errors

    def predict(self, X: Array) -> Array:
        """Return predictions (n, T)."""
        return np.concatenate([member.predict(X) for member in self.members], axis=1)

    def spread(self, X: Array) -> Array:
        """Return the members' spreads (n, T)."""
        return np.concatenate([member.spread(X) for member in self.members], axis=1)

    @property
    def noise_variance(self) -> Array | None:
        """(T,) of the members."""
        found = [member.noise_variance for member in self.members]
        known = [variance for variance in found if variance is not None]
        return np.concatenate(known) if len(known) == len(found) else None

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the members' arrays, each under the number of its trait."""
        return {
            f"{t}.{name}": array
            for t, member in enumerate(self.members)
            for name, array in member.state().items()
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        for t, member in enumerate(self.members):
            prefix = f"{t}."
            member.load_state(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )
