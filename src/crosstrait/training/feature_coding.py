"""Any numeric features brought into the range that models expect of coded genotypes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstrait.errors import SettingsError
from crosstrait.genotypes.coding import GenotypeEncoder

Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureEncoder(GenotypeEncoder):
    """Codes features by their range among the training samples, filling holes with their means.

    The least value seen in training becomes -1 and the largest +1. Values outside that range are
    extrapolated, not clipped. A feature that did not vary, of which nothing can be learned, is 0
    whatever its value.

    Attributes
    ----------
    low, high
        (L,) least and largest training value.
    centre
        (L,) mean training value, which fills the holes.
    """

    low: Float64
    high: Float64
    centre: Float64

    @classmethod
    def learn(cls, features: ArrayLike, *, rows: ArrayLike, names: ArrayLike) -> Self:
        """Learn ranges and means of features (N, L), called ``names``, on training rows."""
        values = np.asarray(features, dtype=np.float64)[np.asarray(rows, dtype=np.intp)]
        n_features = values.shape[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a feature without any value
            low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            centre = np.nanmean(values, axis=0)
        return cls(
            columns=np.arange(n_features),
            n_loci=n_features,
            mean=np.full(n_features, 0.5, dtype=np.float32),
            ploidy=1,
            variant_id=np.asarray(names, dtype=np.str_),
            variant_contig=np.full(n_features, "", dtype=np.str_),
            variant_position=np.full(n_features, -1),
            variant_allele=np.full((n_features, 2), "", dtype=np.str_),
            low=low,
            high=high,
            centre=centre,
        )

    def encode(self, dosage: ArrayLike, *, rows: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return (n, L) coded features: in [-1, +1] where training saw their range, no holes.

        Parameters
        ----------
        dosage
            (n, L) features; NaN is missing.
        rows
            Row numbers to code; all of them where not given.

        Raises
        ------
        DataError
            If the number of features is another.
        """
        values, chosen = self._checked(dosage, rows)
        part = values[chosen].astype(np.float64)
        np.copyto(part, self.centre, where=np.isnan(part))
        width = self.high - self.low
        with np.errstate(invalid="ignore", divide="ignore"):
            coded = (part - self.low) / width * 2 - 1
        return np.where(width > 0, coded, 0).astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        """Refuse: a model that is to be shared must know what its features are.

        Raises
        ------
        SettingsError
            Always.
        """
        raise SettingsError(
            "a model of features of any kind has no loci and alleles by which new genotypes could "
            "be matched; set ploidy to 1 or 2 and fit on dosages to save it, or keep the "
            "estimator itself (skops, joblib)"
        )
