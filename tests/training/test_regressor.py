from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.feature_selection import VarianceThreshold
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import crosstrait as ct
from crosstrait.errors import DataError, SettingsError
from crosstrait.models.registry import model_names
from crosstrait.training.regressor import CrosstraitRegressor
from support.small_models import SHORT_TRAINING, SMALL_SETTINGS, small_model

RANDOM = np.random.default_rng(0)
DOSAGE = RANDOM.integers(0, 2, (80, 6)).astype(np.float32)
EFFECTS = RANDOM.normal(size=(6, 2))
TRAITS = DOSAGE @ EFFECTS + RANDOM.normal(0, 0.2, (80, 2)) + [10, 200]


def regressor(model: str, **changes: Any) -> CrosstraitRegressor:
    """A model small enough to fit in no time."""
    given = {"train": SHORT_TRAINING, "settings": SMALL_SETTINGS.get(model)} | changes
    return CrosstraitRegressor(model, **given)


# Networks learn scikit-learn's 200 samples within the epochs that a test has time for.
CHECKED = [
    *(regressor(model) for model in ("ridge", "multi_gblup", "lasso", "trees", "gp", "residual")),
    regressor("canonical", train={"max_epochs": 10, "batch_size": 32, "learning_rate": 0.03}),
]
EXPECTED_FAILURES: dict[str, str] = {}
"""None: a check that a model cannot pass would be justified here and in docs/scikit-learn.md."""


@parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_it_behaves_as_scikit_learn_wants(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(
    ("model", "ploidy"), [*((model, 1) for model in model_names()), ("ridge", None)]
)
def test_it_is_fit_on_the_same_samples_to_the_last_bit(model: str, ploidy: int | None) -> None:
    traits = TRAITS.copy()
    traits[RANDOM.random(traits.shape) < 0.1] = np.nan
    ours = regressor(model, ploidy=ploidy, random_state=3).fit(DOSAGE, traits)
    panel = ct.panel.from_arrays(DOSAGE, trait_value=traits, trait_names=["a", "b"])
    ids = panel["sample_id"].values
    watching = np.isin(np.arange(80), ours.validation_rows_)
    split = ct.split.from_ids(train=ids[~watching], validation=ids[watching])
    fitted = ct.fit(small_model(model), panel, split, seed=3, train=SHORT_TRAINING)
    np.testing.assert_array_equal(ours.predict(DOSAGE), fitted.predict(DOSAGE))
    if fitted.errors is not None:
        np.testing.assert_array_equal(ours.predict_sd(DOSAGE), fitted.predict_sd(DOSAGE))


def test_networks_watch_a_share_drawn_by_the_seed_and_others_learn_from_all() -> None:
    drawn = [
        regressor("rijal", validation=0.25, random_state=seed).fit(DOSAGE, TRAITS).validation_rows_
        for seed in (1, 1, 2)
    ]
    assert len(drawn[0]) == 20
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not len(regressor("lasso").fit(DOSAGE, TRAITS).validation_rows_)


def test_a_random_state_object_is_drawn_from_and_none_draws_anew() -> None:
    state = np.random.RandomState(0)
    first, second = (regressor("ridge", random_state=state).fit(DOSAGE, TRAITS) for _ in range(2))
    assert first.fitted_.seed != second.fitted_.seed
    one, other = (regressor("ridge", random_state=None).fit(DOSAGE, TRAITS) for _ in range(2))
    assert one.fitted_.seed != other.fitted_.seed


def test_a_missing_trait_costs_its_cell_alone() -> None:
    traits = TRAITS.copy()
    traits[:40, 0] = np.nan
    both = regressor("ridge").fit(DOSAGE, traits)
    alone = regressor("ridge").fit(DOSAGE, TRAITS[:, 1])
    np.testing.assert_allclose(both.predict(DOSAGE)[:, 1], alone.predict(DOSAGE))
    half = regressor("ridge").fit(DOSAGE[40:], TRAITS[40:, 0])
    assert both.score(DOSAGE, TRAITS) > 0.9
    observed = np.where(np.isnan(traits), np.nan, TRAITS)
    by_trait = [half.score(DOSAGE[40:], observed[40:, 0]), alone.score(DOSAGE, TRAITS[:, 1])]
    assert both.score(DOSAGE, observed) == pytest.approx(np.mean(by_trait), abs=0.01)


@pytest.mark.parametrize("ploidy", [1, None])
def test_a_missing_genotype_takes_the_training_mean(ploidy: int | None) -> None:
    holes = DOSAGE.copy()
    holes[::7, 2] = np.nan
    filled = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)
    fitted = regressor("ridge", ploidy=ploidy).fit(holes, TRAITS)
    np.testing.assert_allclose(fitted.predict(holes), fitted.predict(filled), rtol=1e-6)


def test_features_of_any_kind_are_read_by_their_training_range() -> None:
    """Units do not count, and what lies beyond the range is extrapolated, not clipped."""
    features = RANDOM.normal(size=(100, 3)) * [1, 1e-6, 1e6] + [0, 5, 1e9]
    y = features @ [1.0, 1e6, 1e-6]
    rescaled = (features - [7, 5, 1e9]) * [1e3, 1e7, 1e-3]
    one, other = (regressor("ridge").fit(X[:80], y[:80]) for X in (features, rescaled))
    np.testing.assert_allclose(one.predict(features), other.predict(rescaled), rtol=1e-4)
    beyond = features[:5] + np.array([10, 0, 0])
    np.testing.assert_allclose(one.predict(beyond) - one.predict(features[:5]), 10, rtol=1e-3)


def test_a_feature_that_did_not_vary_in_training_is_ignored() -> None:
    constant = np.column_stack([DOSAGE, np.full(80, 4.0), np.full(80, np.nan)])
    fitted = regressor("ridge").fit(constant, TRAITS)
    moved = constant + np.array([0] * 6 + [3, 0])
    np.testing.assert_array_equal(fitted.predict(moved), fitted.predict(constant))
    assert np.isfinite(fitted.predict(moved)).all()


def test_dosages_beyond_the_ploidy_are_refused_where_there_is_one() -> None:
    with pytest.raises(DataError, match=r"\[0, ploidy\] = \[0, 1\]; row 0 has 2"):
        regressor("ridge", ploidy=1).fit(DOSAGE + 1, TRAITS)
    with pytest.raises(SettingsError, match="ploidy = 0"):
        regressor("ridge", ploidy=0).fit(DOSAGE, TRAITS)


def test_the_shape_of_the_traits_is_that_of_the_predictions() -> None:
    for y, shape in ((TRAITS[:, 0], (80,)), (TRAITS[:, :1], (80, 1)), (TRAITS, (80, 2))):
        fitted = regressor("ridge").fit(DOSAGE, y)
        assert fitted.predict(DOSAGE).shape == shape
        assert fitted.predict_sd(DOSAGE).shape == shape
        assert all(end.shape == shape for end in fitted.predict_interval(DOSAGE, 0.8))


def test_intervals_hold_about_their_share_of_new_samples() -> None:
    X = RANDOM.integers(0, 3, (800, 6))
    y = X @ EFFECTS[:, 0] + RANDOM.normal(size=800)
    fitted = regressor("ridge", ploidy=2).fit(X[:400], y[:400])
    lower, upper = fitted.predict_interval(X[400:], level=0.8)
    assert ((lower <= y[400:]) & (y[400:] <= upper)).mean() == pytest.approx(0.8, abs=0.06)


def test_tables_bring_their_names_and_other_columns_are_refused() -> None:
    X = pd.DataFrame(DOSAGE, columns=[f"snp{j}" for j in range(6)])
    y = pd.DataFrame(TRAITS, columns=["yield", "height"])
    fitted = regressor("ridge", ploidy=1).fit(X, y)
    assert fitted.feature_names_in_.tolist() == X.columns.tolist()
    assert fitted.fitted_.encoder.variant_id.tolist() == X.columns.tolist()
    assert fitted.trait_names_ == ("yield", "height")
    assert regressor("ridge").fit(X, y["height"]).trait_names_ == ("height",)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.rename(columns={"snp0": "other"}))
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(X[X.columns[::-1]])
    with pytest.raises(DataError, match="twice: yield"):
        regressor("ridge").fit(X, y.set_axis(["yield", "yield"], axis=1))


def test_a_pipeline_hands_names_through() -> None:
    X = pd.DataFrame(DOSAGE, columns=[f"snp{j}" for j in range(6)]).assign(fixed=1.0)
    pipeline = make_pipeline(VarianceThreshold(), regressor("ridge", ploidy=1))
    pipeline.set_output(transform="pandas").fit(X, TRAITS)
    assert pipeline[-1].feature_names_in_.tolist() == [f"snp{j}" for j in range(6)]
    assert pipeline.score(X, TRAITS) > 0.9


def test_cross_validation_takes_missing_traits() -> None:
    traits = TRAITS.copy()
    traits[::9, 0] = np.nan
    scores = cross_val_score(regressor("ridge"), DOSAGE, traits, cv=KFold(4))
    assert scores.shape == (4,)
    assert scores.min() > 0.8


def test_a_grid_search_varies_single_settings() -> None:
    base = regressor("lasso", settings={"folds": 3})
    search = GridSearchCV(base, {"settings__folds": [2, 4], "model": ["lasso"]}, cv=2)
    search.fit(DOSAGE, TRAITS)
    assert search.best_estimator_.fitted_.config.folds == search.best_params_["settings__folds"]
    assert base.settings == {"folds": 3}
    network = regressor("canonical", settings=None)
    search = GridSearchCV(network, {"train__max_epochs": [1, 2]}, cv=2, refit=False)
    search.estimator.set_params(settings__embedding_dim=3, settings__n_layers=1)
    search.fit(DOSAGE, TRAITS)
    assert len(search.cv_results_["mean_test_score"]) == 2


def test_nested_settings_are_read_back_cloned_and_do_not_touch_what_was_given() -> None:
    given = {"embedding_dim": 8}
    one = CrosstraitRegressor("canonical", settings=given)
    other = clone(one).set_params(settings__n_layers=2, train__max_epochs=3)
    assert other.get_params()["settings__n_layers"] == 2
    assert other.get_params(deep=False)["settings"] == {"embedding_dim": 8, "n_layers": 2}
    assert given == {"embedding_dim": 8}
    assert one.train is None
    assert clone(other).get_params() == other.get_params()


def test_unknown_names_are_refused_with_the_nearest() -> None:
    one = CrosstraitRegressor("canonical")
    with pytest.raises(SettingsError, match="did you mean 'embedding_dim'"):
        one.set_params(settings__embeding_dim=3)
    with pytest.raises(SettingsError, match="did you mean 'max_epochs'"):
        one.set_params(train__max_epoch=3)
    with pytest.raises(SettingsError, match="'type'"):
        one.set_params(settings__type="ridge")
    with pytest.raises(SettingsError, match="model names the model"):
        CrosstraitRegressor("ridge", settings={"type": "lasso"}).fit(DOSAGE, TRAITS)
    with pytest.raises(SettingsError, match="did you mean 'ridge'"):
        CrosstraitRegressor("rigde").fit(DOSAGE, TRAITS)
    with pytest.raises(SettingsError, match=r"validation = 1\.5"):
        CrosstraitRegressor("ridge", validation=1.5).fit(DOSAGE, TRAITS)


def test_a_trait_that_does_not_vary_is_refused() -> None:
    with pytest.raises(DataError, match="trait 'trait_2' has 80 measured values"):
        regressor("ridge").fit(DOSAGE, np.column_stack([TRAITS[:, 0], np.ones(80)]))


def test_a_pickle_of_ones_own_predicts_the_same_bits() -> None:
    fitted = regressor("canonical").fit(DOSAGE, TRAITS)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(DOSAGE), fitted.predict(DOSAGE))


def test_a_model_of_dosages_can_be_saved_and_one_of_any_features_cannot(tmp_path: Any) -> None:
    X = pd.DataFrame(DOSAGE, columns=[f"snp{j}" for j in range(6)])
    fitted = regressor("ridge", ploidy=1).fit(X, TRAITS)
    fitted.fitted_.save(tmp_path / "m")
    loaded = ct.load_model(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(DOSAGE), fitted.predict(X))
    with pytest.raises(SettingsError, match="set ploidy to 1 or 2"):
        regressor("ridge").fit(X, TRAITS).fitted_.save(tmp_path / "n")
