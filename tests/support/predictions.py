"""Predictions of made-up models whose accuracy is known, as a run would leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crosstrait.evaluation.cells import concat_cells, make_cells


def trait_values(
    n_samples: int, *, n_traits: int, missing: float = 0.0, seed: int = 0
) -> np.ndarray:
    """(n_samples, n_traits) correlated traits with holes."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(3, n_traits))
    values = rng.normal(size=(n_samples, 3)) @ loadings + rng.normal(size=(n_samples, n_traits))
    values[rng.random(values.shape) < missing] = np.nan
    return values


def predictions(
    values: np.ndarray,
    *,
    accuracy: Mapping[str, float],
    replicates: int = 1,
    folds: int = 1,
    trait_names: Sequence[str] | None = None,
    only: Mapping[str, Sequence[str]] | None = None,
    once: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Cells of models that see ``accuracy`` of each trait's variance, in k folds.

    ``only`` restricts a model to some traits; a model in ``once`` has replicate 0 alone.
    """
    rng = np.random.default_rng(seed)
    n_samples, n_traits = values.shape
    names = list(trait_names or (f"trait_{j}" for j in range(n_traits)))
    samples = [f"S{i:04d}" for i in range(n_samples)]
    sd, mean = np.nanstd(values, axis=0), np.nanmean(values, axis=0)
    truth = np.where(np.isnan(values), mean, values)
    shared = rng.normal(size=values.shape)
    tables = []
    for model, share in accuracy.items():
        for replicate in range(1 if model in once else replicates):
            own = rng.normal(size=values.shape)
            noise = (np.sqrt(0.9) * shared + np.sqrt(0.1) * own) * sd * np.sqrt(1 / share - 1)
            predicted = mean + share * (truth - mean + noise)
            for fold in range(folds):
                rows = np.arange(fold, n_samples, folds)
                kept = [names.index(t) for t in (only or {}).get(model, names)]
                tables.append(
                    make_cells(
                        values[np.ix_(rows, kept)],
                        predicted=predicted[np.ix_(rows, kept)],
                        sample_id=[samples[i] for i in rows],
                        trait_names=[names[j] for j in kept],
                        model=model,
                        replicate=replicate,
                        fold=fold,
                    )
                )
    return concat_cells(tables)
