"""Standardising traits with the mean and spread of the training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstrait.errors import DataError

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class TraitScaler:
    """Means and standard deviations of T traits.

    Attributes
    ----------
    mean, sd
        (T,) mean and population standard deviation (ddof 0) of the measured training values.
    """

    mean: Float64Array
    sd: Float64Array

    @classmethod
    def fit(
        cls,
        trait_value: ArrayLike,
        *,
        rows: ArrayLike | None = None,
        trait_names: Sequence[str] | None = None,
    ) -> Self:
        """Learn from the measured cells of the training samples.

        Parameters
        ----------
        trait_value
            (N, T) in trait units; NaN is missing.
        rows
            Row numbers of the training samples; all rows where not given.
        trait_names
            T names, for messages.

        Raises
        ------
        DataError
            If a trait does not vary among the training samples.
        """
        values = np.asarray(trait_value, dtype=np.float64)
        if rows is not None:
            values = values[np.asarray(rows, dtype=np.intp)]
        measured = ~np.isnan(values)
        for t in range(values.shape[1]):
            column = values[measured[:, t], t]
            if column.size == 0 or (column == column[0]).all():
                name = t if trait_names is None else repr(str(trait_names[t]))
                raise DataError(
                    f"trait {name} has {column.size} measured values in the {len(values)} "
                    f"training samples, none different from another; leave the trait out or "
                    f"train on more samples"
                )
        # Not var = E[y^2] - E[y]^2: a trait far from 0 would lose its spread.
        mean = np.mean(values, axis=0, where=measured)
        sd = np.std(values, axis=0, where=measured)
        return cls(mean=mean, sd=sd)

    @property
    def is_identity(self) -> bool:
        """Whether scaling changes nothing, as where nobody knew the traits' units."""
        return bool((self.mean == 0).all() and (self.sd == 1).all())

    def scale(self, trait_value: ArrayLike) -> Float64Array:
        """Return (n, T) standardised values; NaN stays NaN."""
        return (np.asarray(trait_value, dtype=np.float64) - self.mean) / self.sd

    def unscale(self, scaled: ArrayLike) -> Float64Array:
        """Return (n, T) values in trait units."""
        return np.asarray(scaled, dtype=np.float64) * self.sd + self.mean

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the learned arrays by name."""
        return {"mean": self.mean, "sd": self.sd}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Restore what ``state`` returned."""
        return cls(
            mean=np.asarray(state["mean"], dtype=np.float64),
            sd=np.asarray(state["sd"], dtype=np.float64),
        )
