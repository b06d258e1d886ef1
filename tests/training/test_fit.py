"""From a panel and a split to a fitted model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstrait.errors import DataError, SettingsError, TrainingError
from crosstrait.models.canonical import CanonicalConfig
from crosstrait.panel.schema import Panel, from_arrays
from crosstrait.split.manifest import Split, from_ids
from crosstrait.training.config import TrainConfig
from crosstrait.training.fit import fit, fit_replicates
from crosstrait.training.fitted import Fitted
from crosstrait.training.load import load_model
from crosstrait.training.progress import EpochDone
from crosstrait.training.replicates import ReplicatesError

TRAITS = ["lithium", "raffinose", "heat"]
RIJAL = {"type": "rijal", "embedding_dim": 4, "n_layers": 1, "init_scale": 0.3}
CANONICAL = {"type": "canonical", "embedding_dim": 4, "n_layers": 1, "init_scale": 0.3}
SHORT = {"max_epochs": 2, "batch_size": 16, "learning_rate": 0.01}


def arrays(
    n: int = 90, *, missing: float = 0.1, ploidy: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    random = np.random.default_rng(0)
    dosage = random.integers(0, ploidy + 1, (n, 8)).astype(np.float32)
    effects = np.array([3.0, 20.0, 0.1]) * random.normal(size=(8, 3))
    traits = dosage @ effects + [100.0, -5.0, 0.0]
    traits += 0.1 * traits.std(axis=0) * random.normal(size=traits.shape)
    traits[random.random(traits.shape) < missing] = np.nan
    dosage[random.random(dosage.shape) < 0.05] = np.nan
    return dosage, traits


def panel_of(dosage: Any, traits: Any, **optional: Any) -> Panel:
    return from_arrays(dosage, trait_value=traits, trait_names=TRAITS, **optional)


def parts(panel: Panel, *, n_validation: int = 15, n_test: int = 20) -> Split:
    ids = panel["sample_id"].values
    train, rest = np.split(ids, [len(ids) - n_validation - n_test])
    return from_ids(train=train, validation=rest[:n_validation], test=rest[n_validation:])


DOSAGE, VALUES = arrays()
PANEL = panel_of(DOSAGE, VALUES)
SPLIT = parts(PANEL)
NEW = DOSAGE[-20:]


def assert_same(one: Fitted, other: Fitted, **tolerance: float) -> None:
    tolerance = {"rtol": 0, "atol": 0} | tolerance
    np.testing.assert_allclose(one.predict(NEW), other.predict(NEW), **tolerance)


def test_ridge_predicts_in_trait_units() -> None:
    fitted = fit("ridge", PANEL, SPLIT)
    predicted = fitted.predict(NEW)
    truth = VALUES[-20:]
    residual = np.nanvar(predicted - truth, axis=0)
    assert (residual < 0.2 * np.nanvar(truth, axis=0)).all()
    assert predicted.dtype == np.float64
    assert fitted.trait_names == tuple(TRAITS)
    assert fitted.panel_digest == PANEL.attrs["digest"]
    assert fitted.split_digest == SPLIT.digest
    assert len(fitted.history) == 0
    assert fitted.train_seconds > 0


@pytest.mark.parametrize("model", ["ridge", RIJAL, CANONICAL], ids=["ridge", "rijal", "canonical"])
def test_nothing_is_learned_from_test_samples(model: Any) -> None:
    dosage, values = DOSAGE.copy(), VALUES.copy()
    dosage[-20:], values[-20:] = 1, 1e6
    spoiled = panel_of(dosage, values)
    options = {"train": SHORT, "prune_r": 0.5}
    first = fit(model, PANEL, SPLIT, **options)
    assert_same(first, fit(model, spoiled, SPLIT, **options))


def test_coding_scaling_and_pruning_are_learned_on_training_samples_alone() -> None:
    dosage, values = DOSAGE.copy(), VALUES.copy()
    train, validation = slice(0, 55), slice(55, 70)
    dosage[train, 1] = dosage[train, 0]  # linked where we may look, and not where we may not
    dosage[validation, 1] = 1 - dosage[validation, 0]
    values[validation] += 50
    fitted = fit("ridge", panel_of(dosage, values), SPLIT, prune_r=0.9)
    assert fitted.encoder.columns.tolist() == [0, 2, 3, 4, 5, 6, 7]
    np.testing.assert_allclose(
        fitted.encoder.mean, np.nanmean(dosage[train][:, fitted.encoder.columns], axis=0), rtol=1e-6
    )
    np.testing.assert_allclose(fitted.scaler.mean, np.nanmean(values[train], axis=0))
    np.testing.assert_allclose(fitted.scaler.sd, np.nanstd(values[train], axis=0))


def test_pruning_is_done_once_for_all_models_of_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    from crosstrait.training import preparation

    calls = []

    def counting(*args: Any, **options: Any) -> NDArray[np.intp]:
        calls.append(options)
        return np.arange(4)

    monkeypatch.setattr(preparation, "prune_linked", counting)
    monkeypatch.setattr(preparation, "_PRUNED", {})
    for split in (SPLIT, SPLIT, parts(PANEL, n_validation=10)):
        assert fit("ridge", PANEL, split, prune_r=0.7).encoder.columns.tolist() == [0, 1, 2, 3]
    assert len(calls) == 2


def test_networks_learn_and_say_how_they_did() -> None:
    seen: list[EpochDone] = []
    train = {"max_epochs": 30, "batch_size": 16, "learning_rate": 0.03}
    fitted = fit(CANONICAL, PANEL, SPLIT, train=train, seed=3, progress=seen.append)
    history, metrics = fitted.history, fitted.metrics
    assert list(history.columns) == [
        "epoch",
        "train_loss",
        "val_loss",
        "val_r2",
        "learning_rate",
        "seconds",
        "member",
    ]
    assert history["epoch"].tolist() == list(range(1, 31)) == [done.epoch for done in seen]
    assert history["member"].unique().tolist() == ["all"]
    best = history.loc[history["val_loss"].idxmin()]
    assert metrics["best_val_loss"] == best["val_loss"]
    assert metrics["best_val_r2"] == best["val_r2"] > 0.7
    assert metrics["final_val_loss"] == history["val_loss"].iloc[-1]
    assert metrics["final_val_r2"] == history["val_r2"].iloc[-1]
    rows = SPLIT.rows(PANEL, "validation")
    observed, predicted = VALUES[rows], fitted.predict_samples(PANEL, rows)
    residual = np.nansum((observed - predicted) ** 2, axis=0)
    r2 = 1 - residual / np.nansum((observed - np.nanmean(observed, axis=0)) ** 2, axis=0)
    assert r2.mean() == pytest.approx(metrics["best_val_r2"], rel=1e-4)


def test_a_single_trait_model_is_one_network_a_trait_as_if_each_were_alone() -> None:
    together = fit(RIJAL, PANEL, SPLIT, train=SHORT)
    assert together.predict(NEW).shape == (20, 3)
    assert together.history["member"].unique().tolist() == TRAITS
    best = together.history.groupby("member")["val_loss"].min()
    assert together.metrics["best_val_loss"] == pytest.approx(best.mean())
    for t, name in enumerate(TRAITS):
        alone = fit(RIJAL, PANEL, SPLIT, train=SHORT, traits=[name])
        np.testing.assert_allclose(
            together.predict(NEW)[:, [t]], alone.predict(NEW), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("model", [CANONICAL, "multi_gblup"], ids=["canonical", "multi_gblup"])
def test_scope_single_gives_each_trait_a_model_as_if_it_were_alone(
    model: Any, tmp_path: Path
) -> None:
    settings = {"scope": "single"} | (SHORT if model == CANONICAL else {})
    together = fit(model, PANEL, SPLIT, train=settings)
    for t, name in enumerate(TRAITS):
        alone = fit(model, PANEL, SPLIT, train={**settings, "scope": "multi"}, traits=[name])
        np.testing.assert_allclose(
            together.predict(NEW)[:, [t]], alone.predict(NEW), rtol=1e-4, atol=1e-4
        )
    multi = fit(model, PANEL, SPLIT, train={**settings, "scope": "multi"})
    assert not np.allclose(together.predict(NEW), multi.predict(NEW), rtol=1e-4)
    together.save(tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).predict(NEW), together.predict(NEW))


@pytest.mark.parametrize("model", [RIJAL, CANONICAL], ids=["rijal", "canonical"])
def test_replicates_in_one_pass_are_the_fits_of_their_seeds(model: Any) -> None:
    replicates = fit_replicates(model, PANEL, SPLIT, seeds=[4, 0], train=SHORT)
    assert [fitted.seed for fitted in replicates] == [4, 0]
    for fitted in replicates:
        alone = fit(model, PANEL, SPLIT, seed=fitted.seed, train=SHORT)
        assert_same(fitted, alone, rtol=1e-3, atol=1e-3)
    assert not np.allclose(replicates[0].predict(NEW), replicates[1].predict(NEW))


def test_replicates_of_a_deterministic_model_are_fitted_once() -> None:
    one, other = fit_replicates("ridge", PANEL, SPLIT, seeds=[0, 1])
    assert one.predictor is other.predictor
    assert (one.seed, other.seed) == (0, 1)


def test_a_pass_that_would_not_fit_in_memory_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    from crosstrait.training import replicates

    whole = fit_replicates(RIJAL, PANEL, SPLIT, seeds=[0, 1], train=SHORT)
    monkeypatch.setattr(replicates, "members_at_once", lambda *_, **__: 4)
    divided = fit_replicates(RIJAL, PANEL, SPLIT, seeds=[0, 1], train=SHORT)
    for one, other in zip(whole, divided, strict=True):
        assert_same(one, other, rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    fitted = fit(CANONICAL, PANEL, SPLIT, seed=1, train=SHORT)
    assert_same(fitted, fit(CANONICAL, PANEL, SPLIT, seed=1, train=SHORT))
    other = fit(CANONICAL, PANEL, SPLIT, seed=2, train=SHORT)
    assert not np.allclose(fitted.predict(NEW), other.predict(NEW))


def test_a_seed_that_is_drawn_is_recorded() -> None:
    drawn = fit(CANONICAL, PANEL, SPLIT, seed=None, train=SHORT)
    assert_same(drawn, fit(CANONICAL, PANEL, SPLIT, seed=drawn.seed, train=SHORT))
    assert fit("ridge", PANEL, SPLIT, seed=None).seed != drawn.seed


def test_traits_are_selected_by_name_in_the_panels_order() -> None:
    fitted = fit("ridge", PANEL, SPLIT, traits=["heat", "lithium"])
    assert fitted.trait_names == ("lithium", "heat")
    every = fit("ridge", PANEL, SPLIT, traits="all")
    np.testing.assert_allclose(fitted.predict(NEW), every.predict(NEW)[:, [0, 2]], rtol=1e-6)


def test_complete_cases_drops_samples_with_any_missing_selected_trait() -> None:
    whole = ~np.isnan(VALUES).any(axis=1)
    train = {"protocol": "complete-cases"}
    ids = PANEL["sample_id"].values
    explicit = from_ids(
        train=ids[:55][whole[:55]], validation=ids[55:70][whole[55:70]], test=ids[70:]
    )
    for model in ("ridge", CANONICAL):
        fitted = fit(model, PANEL, SPLIT, train={**SHORT, **train})
        by_hand = fit(model, PANEL, explicit, train=SHORT)
        # Traits are scaled, and missing genotypes filled, by what all training samples tell.
        np.testing.assert_array_equal(fitted.scaler.mean, np.nanmean(VALUES[:55], axis=0))
        assert not np.array_equal(fitted.encoder.mean, by_hand.encoder.mean)
        assert_same(fitted, by_hand, rtol=0.2, atol=0.5)
        in_training = fit(model, PANEL, SPLIT, train={**SHORT, "protocol": "complete-training"})
        assert_same(in_training, fitted, rtol=1e-6)
    one_trait = fit("ridge", PANEL, SPLIT, traits=["heat"], train=train)
    masked = fit("ridge", PANEL, SPLIT, traits=["heat"])
    assert_same(one_trait, masked, rtol=1e-6)


def test_a_training_sample_without_any_trait_is_no_error() -> None:
    values = VALUES.copy()
    values[5] = np.nan
    fitted = fit(CANONICAL, panel_of(DOSAGE, values), SPLIT, train=SHORT)
    assert np.isfinite(fitted.predict(NEW)).all()


def test_a_finished_training_is_taken_from_its_folder(tmp_path: Path) -> None:
    def count(**options: Any) -> tuple[Fitted, int]:
        seen: list[EpochDone] = []
        fitted = fit(
            CANONICAL,
            options.pop("panel", PANEL),
            SPLIT,
            folder=tmp_path,
            progress=seen.append,
            **({"train": SHORT, "seed": 0} | options),
        )
        return fitted, len(seen)

    first, n_first = count()
    again, n_again = count()
    assert (n_first, n_again) == (2, 0)
    assert_same(first, again)
    assert again.history.equals(first.history)
    dosage = DOSAGE.copy()
    dosage[0, 0] = 1 - dosage[0, 0]
    for other in (
        {"seed": 1},
        {"train": {**SHORT, "learning_rate": 0.02}},
        {"traits": TRAITS[:2]},
        {"prune_r": 0.1},
        {"panel": panel_of(dosage, VALUES)},
    ):
        assert count(**other)[1] == 2, other


def test_a_replicate_that_diverges_is_named_and_the_others_are_kept() -> None:
    class Diverging(CanonicalConfig):
        def build(self, *, n_loci: int, n_traits: int) -> Any:
            import torch

            network = super().build(n_loci=n_loci, n_traits=n_traits)
            if torch.initial_seed() == 1:
                with torch.no_grad():
                    network.get_parameter("embedding").fill_(torch.inf)
            return network

    model = Diverging(**CANONICAL)
    with pytest.raises(
        ReplicatesError,
        match=r"canonical, seed 1: the training loss is not finite at step 1 of epoch 1 "
        r"\(learning rate 0.01\); lower learning_rate, or set gradient_clip",
    ) as raised:
        fit_replicates(model, PANEL, SPLIT, seeds=[0, 1, 2], train=SHORT)
    assert isinstance(raised.value, TrainingError)
    assert [fitted.seed for fitted in raised.value.finished] == [0, 2]
    assert_same(raised.value.finished[0], fit(CANONICAL, PANEL, SPLIT, train=SHORT), rtol=1e-3)


def constant_in_training() -> Panel:
    values = VALUES.copy()
    values[:55, 1] = 2.0
    return panel_of(DOSAGE, values)


def unmeasured_in_training() -> Panel:
    values = VALUES.copy()
    values[:55, 1] = np.nan
    return panel_of(DOSAGE, values)


def unmeasured_in_validation() -> Panel:
    values = VALUES.copy()
    values[55:70, 1] = np.nan
    return panel_of(DOSAGE, values)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "rige"}, SettingsError, r"unknown model 'rige' \(did you mean 'ridge'\?\)"),
        ({"model": "rrBLUP"}, SettingsError, "unknown model 'rrBLUP'; 'ridge' is the nearest here"),
        ({"panel": "cross.zarr"}, DataError, "a panel is needed, got 'cross.zarr'"),
        (
            {"train": {"mxa_epochs": 3}},
            SettingsError,
            r"train: unknown setting 'mxa_epochs' \(did you mean 'max_epochs'",
        ),
        (
            {"traits": ["lithum", "heet"]},
            SettingsError,
            "'lithum' .did you mean 'lithium'.*'heet' .did you mean 'heat'",
        ),
        ({"traits": ["heat", "heat"]}, SettingsError, "traits are named twice: heat"),
        ({"traits": []}, SettingsError, "name at least one"),
        ({"seed": -1}, SettingsError, "seed = -1: a seed is a whole number, at least 0"),
        ({"seed": 1.5}, SettingsError, "seed = 1.5"),
        ({"train": {"device": "cuda"}}, SettingsError, "torch finds no GPU here"),
        ({"panel": constant_in_training()}, DataError, "trait 'raffinose' has"),
        ({"panel": unmeasured_in_training()}, DataError, "trait 'raffinose' has 0 measured"),
        (
            {"model": RIJAL, "panel": unmeasured_in_validation()},
            SettingsError,
            "keep = 'best' needs measured validation samples of trait 'raffinose'",
        ),
        (
            {"split": from_ids(train=PANEL["sample_id"].values[:50])},
            SettingsError,
            "validation = 0.1",
        ),
        (
            {"panel": unmeasured_in_training(), "train": {"protocol": "complete-cases"}},
            DataError,
            "'complete-cases' leaves 0 of 55 training samples with all 3 traits",
        ),
    ],
    ids=str,
)
def test_bad_input_is_refused_with_its_name(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    import torch

    if options.get("train") == {"device": "cuda"} and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    given = {"model": CANONICAL, "panel": PANEL, "split": SPLIT} | options
    with pytest.raises(error, match=message):
        fit(given.pop("model"), given.pop("panel"), given.pop("split"), **given)


def test_replicates_need_different_seeds() -> None:
    with pytest.raises(SettingsError, match="different seeds; got 1, 1"):
        fit_replicates("ridge", PANEL, SPLIT, seeds=[1, 1])


def test_a_whole_training_config_replaces_the_models_defaults() -> None:
    config = TrainConfig(max_epochs=1)
    assert fit(CANONICAL, PANEL, SPLIT, train=config).train_config == config
    assert fit(CANONICAL, PANEL, SPLIT, train={"max_epochs": 1}).train_config.optimizer == "adamw"
    assert fit(RIJAL, PANEL, SPLIT, train={"max_epochs": 1}).train_config.optimizer == "adam"


def test_estimators_and_loaded_models_do_without_lightning(tmp_path: Path) -> None:
    fit(CANONICAL, PANEL, SPLIT, train=SHORT).save(tmp_path / "canonical")
    code = f"""
import sys
import numpy as np
import crosstrait as ct
model = ct.load_model({str(tmp_path / "canonical")!r})
model.predict(np.zeros((1, 8)))
panel = ct.panel.from_arrays(np.eye(9), trait_value=np.arange(9.0)[:, None], trait_names=["a"])
ct.fit("ridge", panel, ct.split.from_ids(train=panel.sample_id.values))
print([name for name in ("lightning", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
