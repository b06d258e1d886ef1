"""What a model carries along about its data and its test, for its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from crosstrait.panel.schema import Panel
from crosstrait.settings import Settings
from crosstrait.split.manifest import Split

Score = float | None


class DataFacts(Settings):
    """The data that a model learned from.

    Attributes
    ----------
    source
        What the panel was read from, without the folder: where it lay is nobody's business.
    n_samples, n_loci
        Of the panel.
    n_train, n_validation, n_test
        Samples of the split.
    n_measured
        For each trait, the measured cells of training and validation samples that may be learned
        from.
    scheme, fold
        How the split was drawn, and which of the scheme's splits it is.
    prune_r
        The correlation above which linked loci were left out; None if none was.
    """

    source: str
    n_samples: int = Field(ge=0)
    n_loci: int = Field(ge=0)
    n_train: int = Field(ge=0)
    n_validation: int = Field(ge=0)
    n_test: int = Field(ge=0)
    n_measured: tuple[int, ...]
    scheme: str
    fold: int
    prune_r: float | None = None

    @classmethod
    def of(
        cls, panel: Panel, split: Split, *, columns: NDArray[np.intp], prune_r: float | None
    ) -> Self:
        """Describe a panel, a split and the selected trait ``columns``."""
        measured = split.learnable(panel) & ~np.isnan(panel["trait_value"].values)
        return cls(
            source=PurePath(str(panel.attrs["source"])).name,
            n_samples=panel.sizes["samples"],
            n_loci=panel.sizes["variants"],
            n_train=len(split.train),
            n_validation=len(split.validation),
            n_test=len(split.test),
            n_measured=tuple(measured.sum(axis=0)[columns].tolist()),
            scheme=split.scheme,
            fold=split.fold,
            prune_r=prune_r,
        )


class TestScores(Settings):
    """What a model reached on test cells, which nothing was learned from.

    Attributes
    ----------
    n_samples
        Test samples.
    n_cells
        For each trait, the measured test cells.
    r2, pearson_r, rmse
        For each trait; None where it cannot be told.
    coverage
        Pairs (level, share): how many test cells lay in intervals that were to hold that share,
        averaged over the traits.
    """

    __test__ = False  # pytest: no test class

    n_samples: int = Field(ge=0)
    n_cells: tuple[int, ...]
    r2: tuple[Score, ...]
    pearson_r: tuple[Score, ...]
    rmse: tuple[Score, ...]
    coverage: tuple[tuple[float, float], ...] = ()


def scores_or_none(values: NDArray[np.floating[Any]]) -> tuple[Score, ...]:
    """Return scores with None for NaN, as JSON has it."""
    return tuple(None if np.isnan(value) else float(value) for value in values)


def mean_score(values: Sequence[Score]) -> Score:
    """Return the mean of the scores that are known, or None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
