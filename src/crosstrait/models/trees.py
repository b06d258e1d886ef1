"""Gradient-boosted trees, one booster a trait, by LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from crosstrait.extras import require
from crosstrait.models.base import Array, Estimator, ModelConfig
from crosstrait.models.booster_text import check_booster, trees_alone
from crosstrait.models.search_space import Real, SearchSpace, Whole

# Below this many cells a tree is too little work for several threads: traits share them instead.
_SMALL_CELLS = 1 << 24


class TreesConfig(ModelConfig):
    """Settings of the boosted trees.

    The number of rounds is chosen by early stopping on the validation samples, or on a tenth of
    the training samples, drawn by the seed, where there are none. The booster is then fitted
    anew with that many rounds on training and validation samples together.

    Attributes
    ----------
    num_leaves
        Most leaves a tree; six can hold interactions of up to five loci.
    learning_rate
        Shrinkage of each tree.
    max_rounds
        Most trees.
    patience
        Rounds without a better validation error before boosting stops.
    row_fraction, column_fraction
        Shares of the samples and of the loci that a tree sees, drawn by the seed.
    min_samples_leaf
        Fewest samples in a leaf.
    """

    type: Literal["trees"] = "trees"
    num_leaves: int = Field(default=6, ge=2)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    max_rounds: int = Field(default=5000, ge=1)
    patience: int = Field(default=50, ge=1)
    row_fraction: float = Field(default=0.7, gt=0, le=1)
    column_fraction: float = Field(default=1.0, gt=0, le=1)
    min_samples_leaf: int = Field(default=20, ge=1)

    search_space: ClassVar[SearchSpace] = {
        "num_leaves": Whole(low=3, high=64, log=True),
        "learning_rate": Real(low=0.02, high=0.2, log=True),
        "row_fraction": Real(low=0.4, high=1.0),
        "column_fraction": Real(low=0.2, high=1.0),
        "min_samples_leaf": Whole(low=5, high=100, log=True),
    }

    def build(self, *, n_loci: int, n_traits: int) -> TreesEstimator:
        """Return the unfitted estimator.

        Raises
        ------
        SettingsError
            If LightGBM is not installed.
        """
        del n_loci
        require("lightgbm", extra="trees", why="the model 'trees' needs LightGBM")
        return TreesEstimator(self, n_traits=n_traits)


class TreesEstimator(Estimator):
    """One LightGBM booster a trait, fitted to that trait's measured samples.

    The result depends on the seed, not on the number of threads, nor on the order of the
    samples, which are sorted by the trait before anything is drawn.

    Attributes
    ----------
    boosters
        LightGBM's text model of each trait; empty where a trait has too few samples for one
        split, and is predicted by its mean.
    mean
        (T,) mean of the samples that were learned from.
    rounds
        (T,) number of trees.
    """

    def __init__(self, config: TreesConfig, *, n_traits: int) -> None:
        self.config = config
        self.boosters = [""] * n_traits
        self.mean = np.zeros(n_traits)
        self.rounds = np.zeros(n_traits, dtype=np.int64)

    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Choose the rounds on the validation samples, then fit to all samples."""
        samples = np.concatenate([X, X_validation])
        values = np.concatenate([Y, Y_validation]).astype(np.float64)
        validates = np.arange(len(samples)) >= len(X)
        n_threads = torch.get_num_threads()
        workers = min(n_threads, len(self.boosters)) if samples.size < _SMALL_CELLS else 1

        held_out = np.full(values.shape, np.nan)

        def fit_trait(t: int) -> None:
            y = values[:, t]
            order = np.argsort(y, kind="stable")[: np.count_nonzero(~np.isnan(y))]
            if len(order):
                self.mean[t] = y[order].mean()
            if len(order) >= 2 * self.config.min_samples_leaf:
                self.boosters[t], self.rounds[t], held_out[order, t] = self._boost(
                    samples[order],
                    y[order],
                    held_out=validates[order],
                    seed=seed,
                    n_threads=max(1, n_threads // workers),
                )

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(fit_trait, range(len(self.boosters))))
        self.held_out = held_out

    def _boost(
        self, X: Array, y: Array, *, held_out: NDArray[np.bool_], seed: int, n_threads: int
    ) -> tuple[str, int, NDArray[np.float64]]:
        """Return the text model, its number of trees, and the errors (n,) of held-out samples."""
        import lightgbm

        if not held_out.any():
            held_out = np.zeros(len(y), dtype=bool)
            drawn = np.random.default_rng(seed).permutation(len(y))
            held_out[drawn[: max(1, len(y) // 10)]] = True
        parameters = {
            "objective": "regression",
            "num_leaves": self.config.num_leaves,
            "learning_rate": self.config.learning_rate,
            "bagging_fraction": self.config.row_fraction,
            "bagging_freq": 1 if self.config.row_fraction < 1 else 0,
            "feature_fraction": self.config.column_fraction,
            "min_data_in_leaf": self.config.min_samples_leaf,
            # 15 bins fit 4 bits, and hold every dosage of hard calls beside the imputed mean.
            "max_bin": 15,
            "min_data_in_bin": 1,
            "seed": seed % (1 << 31),
            "num_threads": n_threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        learn = lightgbm.Dataset(X[~held_out], y[~held_out], params=parameters)
        watch = lightgbm.Dataset(X[held_out], y[held_out], reference=learn)
        stop = lightgbm.early_stopping(self.config.patience, verbose=False)
        trial = lightgbm.train(
            parameters, learn, self.config.max_rounds, valid_sets=[watch], callbacks=[stop]
        )
        rounds = int(trial.best_iteration)
        error = np.full(len(y), np.nan)
        error[held_out] = y[held_out] - trial.predict(
            X[held_out], num_iteration=rounds, num_threads=n_threads
        )
        everything = lightgbm.Dataset(X, y, params=parameters)
        text = lightgbm.train(parameters, everything, rounds).model_to_string()
        return trees_alone(text), rounds, error

    def predict(self, X: Array) -> NDArray[np.float64]:
        """Return predictions (n, T) for coded genotypes (n, L)."""
        import lightgbm

        predicted = np.tile(self.mean, (len(X), 1))
        for t, text in enumerate(self.boosters):
            if text:
                booster = lightgbm.Booster(model_str=text)
                predicted[:, t] = booster.predict(X, num_threads=torch.get_num_threads())
        return predicted

    def state(self) -> dict[str, NDArray[Any]]:
        """Return ``mean``, ``rounds`` and each booster's text as bytes."""
        texts = {
            f"booster_{t}": np.frombuffer(text.encode(), dtype=np.uint8)
            for t, text in enumerate(self.boosters)
        }
        return {"mean": self.mean, "rounds": self.rounds, **texts}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        self.mean, self.rounds = state["mean"], state["rounds"]
        texts = [state[f"booster_{t}"].tobytes().decode("ascii") for t in range(len(self.mean))]
        self.boosters = [trees_alone(text) if text else "" for text in texts]
        for text in filter(None, self.boosters):
            check_booster(text)
