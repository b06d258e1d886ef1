from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstrait.errors import DataError, SettingsError, StorageError
from crosstrait.panel.schema import from_arrays
from crosstrait.split.manifest import from_ids
from crosstrait.training.config import TrainConfig
from crosstrait.training.fit import fit
from crosstrait.training.fitted import Fitted
from crosstrait.training.load import load_model

RANDOM = np.random.default_rng(0)
DOSAGE = RANDOM.integers(0, 3, (60, 7)).astype(np.float32)
DOSAGE[RANDOM.random(DOSAGE.shape) < 0.1] = np.nan
VALUES = np.nan_to_num(DOSAGE) @ RANDOM.normal(size=(7, 2)) + 40
PANEL = from_arrays(DOSAGE, trait_value=VALUES, trait_names=["NA", "Größe, °C"], ploidy=2)
IDS = PANEL["sample_id"].values
SPLIT = from_ids(train=IDS[:40], validation=IDS[40:50], test=IDS[50:])
MODELS: dict[str, dict[str, Any]] = {
    "ridge": {"type": "ridge"},
    "rijal": {"type": "rijal", "embedding_dim": 3, "n_layers": 1},
    "canonical": {"type": "canonical", "embedding_dim": 3, "n_layers": 1},
    "transformer": {
        "type": "transformer",
        "embedding_dim": 4,
        "n_heads": 2,
        "feedforward_dim": 4,
        "n_layers": 1,
    },
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest) -> Fitted:
    train = {"max_epochs": 2, "batch_size": 8}
    return fit(MODELS[request.param], PANEL, SPLIT, seed=5, train=train, prune_r=0.9)


@pytest.fixture(scope="module")
def ridge() -> Fitted:
    return fit("ridge", PANEL, SPLIT)


def test_a_loaded_model_is_the_saved_one_to_the_last_bit(fitted: Fitted, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(DOSAGE), fitted.predict(DOSAGE))
    for field in dataclasses.fields(Fitted):
        if field.name not in ("predictor", "encoder", "scaler", "errors", "history"):
            assert getattr(loaded, field.name) == getattr(fitted, field.name), field.name
    assert loaded.history.equals(fitted.history)
    assert (loaded.history.dtypes == fitted.history.dtypes).all()
    for name, array in fitted.encoder.state().items():
        np.testing.assert_array_equal(loaded.encoder.state()[name], array)
    np.testing.assert_array_equal(loaded.predict_sd(DOSAGE), fitted.predict_sd(DOSAGE))


def test_intervals_are_centred_on_the_prediction_and_widen_with_their_level(
    fitted: Fitted,
) -> None:
    predicted, sd = fitted.predict(DOSAGE), fitted.predict_sd(DOSAGE)
    assert (sd > 0).all()
    half = []
    for level in (0.2, 0.5):
        lower, upper = fitted.predict_interval(DOSAGE, level=level)
        np.testing.assert_allclose((lower + upper) / 2, predicted)
        half.append(upper - lower)
    assert (half[0] < half[1]).all()
    # A dozen held-out samples cannot speak of one in a hundred.
    lower, upper = fitted.predict_interval(DOSAGE, level=0.99)
    assert np.isinf(lower).all()
    assert np.isinf(upper).all()


def test_without_held_out_samples_no_interval_is_made_up() -> None:
    alone = fit(
        MODELS["rijal"],
        PANEL,
        dataclasses.replace(SPLIT, validation=()),
        train={"max_epochs": 1, "batch_size": 8, "keep": "last", "patience": 0},
    )
    with pytest.raises(SettingsError, match="held no samples out"):
        alone.predict_interval(DOSAGE, level=0.8)


def test_a_saved_model_is_four_files_without_any_pickle(fitted: Fitted, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["README.md", "config.json", "history.csv", "model.safetensors"]
    json.loads((tmp_path / "config.json").read_text(), parse_constant=pytest.fail)


def test_prediction_in_blocks_is_prediction_at_once(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted.predict(DOSAGE)
    monkeypatch.setattr(Fitted, "_block_rows", lambda _: 7)
    np.testing.assert_allclose(fitted.predict(DOSAGE), whole, rtol=1e-5)


def test_a_model_trained_on_a_gpu_predicts_without_one(fitted: Fitted) -> None:
    elsewhere = dataclasses.replace(fitted, train_config=TrainConfig(device="cuda"))
    np.testing.assert_allclose(elsewhere.predict(DOSAGE), fitted.predict(DOSAGE), rtol=1e-4)


def test_samples_of_a_panel_are_predicted_by_row(ridge: Fitted) -> None:
    rows = [50, 3, 51]
    np.testing.assert_array_equal(ridge.predict_samples(PANEL, rows), ridge.predict(DOSAGE[rows]))


def test_no_samples_give_no_predictions(fitted: Fitted) -> None:
    assert fitted.predict(DOSAGE[:0]).shape == (0, 2)


def test_a_missing_genotype_counts_as_the_training_mean(ridge: Fitted) -> None:
    filled = np.where(np.isnan(DOSAGE), np.nanmean(DOSAGE[:40], axis=0), DOSAGE)
    np.testing.assert_allclose(ridge.predict(DOSAGE), ridge.predict(filled), rtol=1e-6)


@pytest.mark.parametrize(
    ("dosage", "message"),
    [
        (DOSAGE[:, :6], r"dosage must be \(samples, 7\)"),
        (DOSAGE[:0, :6], r"dosage must be \(samples, 7\)"),
        (DOSAGE[0], r"dosage must be \(samples, loci\); got shape \(7,\)"),
        (np.full((2, 7), 3.0), r"\[0, ploidy\] = \[0, 2\].* copies of one allele"),
    ],
    ids=["locus missing", "even of none", "one row", "too many copies"],
)
def test_genotypes_of_another_kind_are_refused(
    ridge: Fitted, dosage: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ridge.predict(dosage)


def test_a_panel_with_other_loci_is_refused(ridge: Fitted) -> None:
    renamed = from_arrays(
        DOSAGE,
        trait_value=VALUES,
        trait_names=["a", "b"],
        ploidy=2,
        variant_id=[f"other_{i}" for i in range(7)],
    )
    with pytest.raises(DataError, match="7 loci are not the 7 that the model learned from"):
        ridge.predict_samples(renamed, [0])


def test_a_folder_that_cannot_be_written_is_named(ridge: Fitted, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match=r"could not be saved in .*taken"):
        ridge.save(tmp_path / "taken")
