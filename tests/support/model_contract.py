"""What every model must do, as one test class that each model's tests inherit.

A test class names its model and inherits the checks::

    class TestRidge(ModelContract):
        def config(self) -> ModelConfig:
            return RidgeConfig()

Estimators need no more. A network's test class inherits ``NetworkContract`` and says in ``fit``
and ``reloaded`` how it is trained, saved and read back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import nn

from crosstrait.models.base import Estimator, ModelConfig

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Coded genotypes X (N, L) and standardised traits Y (N, T) of a simulated haploid cross."""

    X: NDArray[np.float32]
    Y: Float
    X_validation: NDArray[np.float32]
    Y_validation: Float
    X_test: NDArray[np.float32]
    Y_test: Float

    def traits(self, which: list[int]) -> Problem:
        """The same samples with only these traits."""
        return replace(
            self,
            Y=self.Y[:, which],
            Y_validation=self.Y_validation[:, which],
            Y_test=self.Y_test[:, which],
        )

    def recoded(self, locus: int) -> Problem:
        """The other allele counted at one locus, everywhere."""
        sign = np.ones(self.X.shape[1], dtype=np.float32)
        sign[locus] = -1
        return replace(
            self,
            X=self.X * sign,
            X_validation=self.X_validation * sign,
            X_test=self.X_test * sign,
        )

    def reordered(self, seed: int = 0) -> Problem:
        """The training and validation samples in another order."""
        rng = np.random.default_rng(seed)
        train, validation = rng.permutation(len(self.X)), rng.permutation(len(self.X_validation))
        return replace(
            self,
            X=self.X[train],
            Y=self.Y[train],
            X_validation=self.X_validation[validation],
            Y_validation=self.Y_validation[validation],
        )


def simulated(
    *,
    n_train: int = 300,
    n_validation: int = 60,
    n_loci: int = 12,
    n_traits: int = 2,
    heritability: float = 0.8,
    interaction: float = 0.0,
    seed: int = 0,
) -> Problem:
    """A cross whose traits share additive loci; ``interaction`` is the share of two-locus pairs
    in the genetic variance. The test traits are free of noise.
    """
    rng = np.random.default_rng(seed)
    n = n_train + n_validation + 300
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(n, n_loci))
    additive = X[:, : max(1, n_loci // 2)]
    genetic = scaled(additive @ rng.normal(size=(additive.shape[1], n_traits)))
    if interaction:
        pairs = np.stack([X[:, 2 * t % n_loci] * X[:, (2 * t + 1) % n_loci] for t in range(3)], 1)
        genetic *= np.sqrt(1 - interaction)
        genetic += np.sqrt(interaction) * scaled(pairs @ rng.normal(size=(3, n_traits)))
    noise = rng.normal(size=genetic.shape) * np.sqrt(1 / heritability - 1)
    Y = genetic + noise
    Y[n_train + n_validation :] = genetic[n_train + n_validation :]
    train, validation, test = np.split(np.arange(n), [n_train, n_train + n_validation])
    return Problem(
        X=X[train],
        Y=Y[train],
        X_validation=X[validation],
        Y_validation=Y[validation],
        X_test=X[test],
        Y_test=Y[test],
    )


def scaled(values: Float) -> Float:
    """Columns with mean 0 and variance 1."""
    centred: Float = values - values.mean(axis=0)
    return centred / np.maximum(centred.std(axis=0), 1e-12)


def r2(observed: Float, predicted: Float) -> Float:
    """R2 of each column."""
    error = ((observed - predicted) ** 2).sum(axis=0)
    total: Float = ((observed - observed.mean(axis=0)) ** 2).sum(axis=0)
    return 1 - error / total


def fit_estimator(config: ModelConfig, problem: Problem, *, seed: int = 0) -> Any:
    """Build the estimator of a config and fit it to the problem's samples."""
    model = config.build(n_loci=problem.X.shape[1], n_traits=problem.Y.shape[1])
    assert isinstance(model, Estimator)
    model.fit(
        problem.X,
        problem.Y,
        X_validation=problem.X_validation,
        Y_validation=problem.Y_validation,
        seed=seed,
    )
    return model


class Predictor(Protocol):
    """What a fit gives."""

    def predict(self, X: Any) -> Any:
        """Return predictions (n, T) for coded genotypes (n, L)."""


class ModelContract:
    """The checks; a subclass names its model in ``config`` and, if it must, its tolerances."""

    n_traits = 2
    minimum_r2 = 0.9
    """What the model must reach on 12 loci and 300 samples, against noise-free test traits."""
    minimum_r2_of_pairs: float | None = None
    """The same where half the genetic variance is pairwise; None for an additive model."""
    tolerance = 1e-6
    """Largest change of a prediction (standard deviations) that rounding may cause."""
    traits_are_independent = True
    """Whether a trait's predictions do not depend on which others are fitted beside it."""
    order_matters = False
    """Whether the order of samples and the naming of alleles may change the result (networks:
    mini-batches and starting weights)."""

    def config(self) -> ModelConfig:
        """The settings under test."""
        raise NotImplementedError

    def fit(self, problem: Problem, *, seed: int = 0) -> Predictor:
        """Fit a new model to the problem's training and validation samples."""
        fitted: Predictor = fit_estimator(self.config(), problem, seed=seed)
        return fitted

    def reloaded(self, fitted: Any, problem: Problem, folder: Path) -> Predictor:
        """Save what was learned, and read it into a new model."""
        path = folder / "model.safetensors"
        save_file(
            {name: np.ascontiguousarray(array) for name, array in fitted.state().items()}, path
        )
        n_loci, n_traits = problem.X.shape[1], problem.Y.shape[1]
        fresh = self.config().build(n_loci=n_loci, n_traits=n_traits)
        assert isinstance(fresh, Estimator)
        fresh.load_state(load_file(path))
        return fresh

    def problem(self, **changes: Any) -> Problem:
        """A simulated cross with this model's number of traits."""
        return simulated(**({"n_traits": self.n_traits} | changes))

    def assert_sound(self, problem: Problem) -> None:
        """Fit; the test predictions must have the right shape and be finite."""
        predicted = self.fit(problem).predict(problem.X_test)
        assert predicted.shape == problem.Y_test.shape
        assert np.isfinite(predicted).all()

    def test_its_config_says_whether_it_is_a_network(self) -> None:
        config = self.config()
        built = config.build(n_loci=4, n_traits=1)
        assert isinstance(built, nn.Module if config.network else Estimator)

    # What it learns

    def test_it_learns_an_additive_cross(self) -> None:
        problem = self.problem()
        fitted = self.fit(problem)
        assert r2(problem.Y_test, fitted.predict(problem.X_test)).min() > self.minimum_r2

    def test_it_learns_pairs_of_loci(self) -> None:
        if self.minimum_r2_of_pairs is None:
            pytest.skip("an additive model cannot")
        problem = self.problem(interaction=0.5, n_train=600, heritability=0.9)
        fitted = self.fit(problem)
        scores = r2(problem.Y_test, fitted.predict(problem.X_test))
        assert scores.min() > self.minimum_r2_of_pairs

    # Holes

    def test_a_hole_costs_its_cell_and_not_its_sample(self) -> None:
        if self.n_traits < 2:
            pytest.skip("one trait a model")
        problem = self.problem()
        holes = problem.Y.copy()
        holes[::2, 0] = np.nan
        with_holes = self.fit(replace(problem, Y=holes)).predict(problem.X_test)
        dropped = self.fit(replace(problem, X=problem.X[1::2], Y=problem.Y[1::2]))
        assert not np.allclose(
            with_holes[:, 1], dropped.predict(problem.X_test)[:, 1], atol=1e-4
        ), "samples without trait 0 taught nothing about trait 1"
        if self.traits_are_independent:
            full = self.fit(problem).predict(problem.X_test)
            np.testing.assert_allclose(with_holes[:, 1], full[:, 1], atol=self.tolerance)

    def test_all_traits_together_equal_one_by_one(self) -> None:
        if not self.traits_are_independent:
            pytest.skip("this model learns across traits")
        problem = self.problem(n_traits=4)
        rng = np.random.default_rng(1)
        problem.Y[rng.random(problem.Y.shape) < 0.1] = np.nan
        problem.Y[rng.random(len(problem.Y)) < 0.6, 3] = np.nan
        problem.Y_validation[::3, 1] = np.nan
        together = self.fit(problem).predict(problem.X_test)
        for t in range(4):
            alone = self.fit(problem.traits([t])).predict(problem.X_test)
            np.testing.assert_allclose(together[:, [t]], alone, atol=self.tolerance)

    def test_a_trait_without_any_value_is_survived(self) -> None:
        if self.n_traits < 2:
            pytest.skip("one trait a model")
        problem = self.problem()
        problem.Y[:, 0] = np.nan
        problem.Y_validation[:, 0] = np.nan
        predicted = self.fit(problem).predict(problem.X_test)
        assert np.isfinite(predicted).all()
        assert r2(problem.Y_test, predicted)[1] > self.minimum_r2

    # Repeatability

    def test_the_same_seed_gives_the_same_bits(self) -> None:
        problem = self.problem()
        first, second = (self.fit(problem, seed=7).predict(problem.X_test) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_a_saved_model_predicts_the_same_bits(self, tmp_path: Path) -> None:
        problem = self.problem()
        fitted = self.fit(problem)
        again = self.reloaded(fitted, problem, tmp_path)
        np.testing.assert_array_equal(fitted.predict(problem.X_test), again.predict(problem.X_test))

    def test_the_order_of_samples_changes_nothing(self) -> None:
        if self.order_matters:
            pytest.skip("batches are drawn in order")
        problem = self.problem()
        original = self.fit(problem).predict(problem.X_test)
        moved = self.fit(problem.reordered()).predict(problem.X_test)
        np.testing.assert_allclose(moved, original, atol=self.tolerance)

    def test_which_allele_is_counted_changes_nothing(self) -> None:
        if self.order_matters:
            pytest.skip("starting weights are not symmetric")
        problem = self.problem()
        flipped = problem.recoded(0)
        original = self.fit(problem).predict(problem.X_test)
        recoded = self.fit(flipped).predict(flipped.X_test)
        np.testing.assert_allclose(recoded, original, atol=self.tolerance)

    def test_a_sample_is_predicted_alike_alone_and_in_company(self) -> None:
        problem = self.problem()
        fitted = self.fit(problem)
        together = fitted.predict(problem.X_test)
        alone = np.concatenate([fitted.predict(problem.X_test[i : i + 1]) for i in range(5)])
        np.testing.assert_allclose(alone, together[:5], rtol=1e-4, atol=1e-5)

    # Degenerate panels

    def test_one_locus(self) -> None:
        self.assert_sound(self.problem(n_loci=1))

    def test_more_loci_than_samples(self) -> None:
        self.assert_sound(self.problem(n_train=20, n_validation=5, n_loci=40))

    def test_no_validation_samples(self) -> None:
        self.assert_sound(self.problem(n_validation=0))

    def test_a_locus_that_never_varies(self) -> None:
        problem = self.problem()
        problem.X[:, 3] = problem.X_validation[:, 3] = 1.0  # the test samples still vary there
        self.assert_sound(problem)

    def test_a_panel_that_never_varies(self) -> None:
        problem = self.problem()
        problem.X[:] = problem.X_validation[:] = 1.0
        self.assert_sound(problem)

    def test_genotypes_between_the_calls(self) -> None:
        problem = self.problem()
        rng = np.random.default_rng(2)
        problem.X[:, :4] *= rng.random((len(problem.X), 4), dtype=np.float32)
        self.assert_sound(problem)


class NetworkContract(ModelContract, ABC):
    """The contract of a network, which the training loop fits."""

    traits_are_independent = False
    order_matters = True
    idle: frozenset[str] = frozenset()
    """Parameters that the published equations have and that nothing depends on."""

    @abstractmethod
    def fit(self, problem: Problem, *, seed: int = 0) -> Predictor:
        """Train a new network through the training loop."""

    @abstractmethod
    def reloaded(self, fitted: Any, problem: Problem, folder: Path) -> Predictor:
        """Save what was learned, and read it back."""

    def test_every_parameter_gets_gradient(self) -> None:
        torch.manual_seed(0)
        model = self.config().build(n_loci=12, n_traits=self.n_traits)
        assert isinstance(model, nn.Module)
        problem = self.problem()
        target = torch.from_numpy(problem.Y[:16]).float()
        ((model(torch.from_numpy(problem.X[:16])) - target) ** 2).mean().backward()
        moved = {
            name
            for name, parameter in model.named_parameters()
            if parameter.grad is not None and (parameter.grad.abs() > 1e-7).any()
        }
        assert dict(model.named_parameters()).keys() - moved == self.idle
