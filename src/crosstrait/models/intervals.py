"""How wrong a model's predictions are, learned from samples that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import SettingsError
from crosstrait.models.base import Array

Float64 = NDArray[np.float64]

_LEVELS = np.arange(1, 100) / 100


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorQuantiles:
    r"""The distribution of the absolute errors :math:`|y - \hat y| / s` of each trait.

    The error distribution of a trait is rarely normal, so intervals are made of the quantiles
    themselves: of n held-out errors the :math:`\lceil (n + 1) p \rceil`-th smallest covers a new
    sample with probability at least p, whatever the distribution (split conformal prediction).

    Attributes
    ----------
    quantile
        (99, T) at the levels 0.01, 0.02, ..., 0.99; infinite where there are too few errors.
    root_mean_square
        (T,) of the errors; NaN for a trait without any.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, J. Am. Stat. Assoc. 113:1094.
    """

    quantile: Float64
    root_mean_square: Float64

    @classmethod
    def fit(cls, errors: Array) -> Self:
        """Learn from held-out errors (n, T), each over its spread; NaN where nothing was measured.

        ``n`` may be 0.
        """
        n_traits = errors.shape[1]
        quantile = np.full((len(_LEVELS), n_traits), np.inf)
        root_mean_square = np.full(n_traits, np.nan)
        for t in range(n_traits):
            own = np.sort(np.abs(errors[~np.isnan(errors[:, t]), t]))
            if not len(own):
                continue
            # Subtracted before the ceiling: (n + 1) p is whole where p is, but for rounding.
            rank = np.ceil((len(own) + 1) * _LEVELS - 1e-9).astype(int)
            known = rank <= len(own)
            quantile[known, t] = own[rank[known] - 1]
            root_mean_square[t] = np.sqrt((own**2).mean())
        return cls(quantile=quantile, root_mean_square=root_mean_square)

    def at(self, level: float) -> Float64:
        """Return what |error| / spread (T,) stays below with probability ``level``.

        Parameters
        ----------
        level
            From 0.01 to 0.99; between hundredths, the line between their quantiles.

        Raises
        ------
        SettingsError
            If the level is out of range.
        """
        if not _LEVELS[0] <= level <= _LEVELS[-1]:
            raise SettingsError(f"level = {level!r}: intervals cover from 0.01 to 0.99")
        place = min(level * 100 - 1, len(_LEVELS) - 1.0)
        below = int(place)
        share = place - below
        if share < 1e-9:
            return np.array(self.quantile[below])
        between: Float64 = (1 - share) * self.quantile[below] + share * self.quantile[below + 1]
        return between

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {"quantile": self.quantile, "root_mean_square": self.root_mean_square}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Restore what ``state`` returned."""
        return cls(quantile=state["quantile"], root_mean_square=state["root_mean_square"])
