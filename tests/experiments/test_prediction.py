from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstrait.errors import DataError, SettingsError, StorageError
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.prediction import predict
from crosstrait.panel.storage import open_panel
from crosstrait.training.load import load_model
from support.experiments import write_tiny

TWO = """
[data]
panel = "cross.zarr"
prune_r = 0.9
[split]
scheme = "kfold"
folds = 2
[[model]]
type = "ridge"
[[model]]
type = "ridge"
name = "one"
traits = ["trait_2"]
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    run_experiment(read_experiment(write_tiny(folder, text=TWO)), out=folder / "out")
    return folder / "out"


@pytest.fixture
def table(out: Path) -> pd.DataFrame:
    """The panel's genotypes as a plain table, loci named and samples in rows."""
    panel = open_panel(out.parent / "cross.zarr")
    calls = panel["call_dosage"].values.astype(np.float32)
    names = panel["variant_id"].values.tolist()
    return pd.DataFrame(calls, columns=names, index=panel["sample_id"].values.tolist())


def write(table: pd.DataFrame, folder: Path) -> Path:
    path = folder / "genotypes.csv"
    table.to_csv(path, index_label="sample")
    return path


def expected(out: Path, table: pd.DataFrame, label: str) -> np.ndarray:
    folders = sorted((out / "runs").glob(f"{label}-*"))
    return np.mean([load_model(folder).predict(table.to_numpy()) for folder in folders], axis=0)


def test_loci_in_any_order_give_the_predictions_of_the_panel(
    out: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    shuffled = table.sample(frac=1, axis=1, random_state=0)
    found = predict(out, genotypes=write(shuffled, tmp_path), model="ridge")
    assert found.n_runs == 2
    assert found.table.columns.tolist() == ["sample", "trait_1", "trait_2"]
    assert found.table["sample"].tolist() == table.index.tolist()
    np.testing.assert_allclose(
        found.table[["trait_1", "trait_2"]], expected(out, table, "ridge"), rtol=1e-5
    )


def test_intervals_stand_beside_their_trait_and_widen_with_their_level(
    out: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    genotypes = write(table, tmp_path)
    widths = []
    for level in (0.5, 0.8):
        found = predict(out, genotypes=genotypes, model="ridge", level=level).table
        assert found.columns.tolist() == [
            "sample",
            *("trait_1", "trait_1 lower", "trait_1 upper"),
            *("trait_2", "trait_2 lower", "trait_2 upper"),
        ]
        np.testing.assert_allclose(
            found[["trait_1 lower", "trait_1 upper"]].mean(axis=1), found["trait_1"]
        )
        widths.append(found["trait_1 upper"] - found["trait_1 lower"])
    assert (widths[0] < widths[1]).all()
    with pytest.raises(SettingsError, match="level = 95"):
        predict(out, genotypes=genotypes, model="ridge", level=95)


def test_one_run_predicts_alone(out: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    folder = sorted((out / "runs").glob("one-*"))[0]
    found = predict(folder, genotypes=write(table, tmp_path))
    assert found.n_runs == 1
    own = load_model(folder).predict(table.to_numpy())
    np.testing.assert_allclose(found.table[["trait_2"]], own, rtol=1e-5)


def test_a_missing_locus_takes_its_training_mean_and_is_noted(
    out: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    folder = sorted((out / "runs").glob("ridge-*"))[0]
    encoder = load_model(folder).encoder
    gone = str(encoder.variant_id[0])
    found = predict(folder, genotypes=write(table.drop(columns=gone), tmp_path))
    holes = table.assign(**{gone: np.nan})
    own = load_model(folder).predict(holes.to_numpy())
    np.testing.assert_allclose(found.table[["trait_1", "trait_2"]], own, rtol=1e-5)
    assert any(gone in note and "training means" in note for note in found.notes)


def test_too_many_missing_loci_are_refused_with_the_count(
    out: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"\d+ of"):
        predict(out, genotypes=write(table.iloc[:, :5], tmp_path), model="ridge")


def test_a_choice_of_models_is_asked_for(out: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"2 models: choose one with --model \(one, ridge\)"):
        predict(out, genotypes="x")
    with pytest.raises(SettingsError, match=r"unknown model 'rige' \(did you mean 'ridge'\?\)"):
        predict(out, genotypes="x", model="rige")


def test_a_folder_without_a_finished_run_is_refused(out: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="neither the folder of a finished run"):
        predict(tmp_path, genotypes="x")


def test_a_copy_of_a_run_predicts_elsewhere_and_its_card_holds_the_test_scores(
    out: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    folder = sorted((out / "runs").glob("ridge-*"))[0]
    copy = tmp_path / "shared"
    shutil.copytree(folder, copy)
    card = (copy / "README.md").read_text(encoding="utf-8")
    metrics = pd.read_csv(copy / "metrics.csv", index_col="metric")["value"]
    assert f"| **mean** | {metrics['test_r2']:.3f} |" in card
    for name in ("trait_1", "trait_2"):
        escaped = name.replace("_", r"\_")
        assert f"| {escaped} | {metrics[f'test_r2_{name}']:.3f} |" in card
    intervals = pd.read_parquet(copy / "intervals.parquet")
    held = intervals["observed"].between(intervals["lower_80"], intervals["upper_80"])
    assert f"| 80% | {held.groupby(intervals['trait']).mean().mean():.1%} |" in card
    (copy / "README.md").write_text(card.replace("---\n", "---\nlicense: mit\n", 1))
    genotypes = write(table, tmp_path)
    pd.testing.assert_frame_equal(
        predict(copy, genotypes=genotypes).table, predict(folder, genotypes=genotypes).table
    )


def test_a_folder_that_a_model_was_saved_in_predicts_like_a_run(
    out: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    folder = sorted((out / "runs").glob("one-*"))[0]
    load_model(folder).save(tmp_path / "saved")
    genotypes = write(table, tmp_path)
    pd.testing.assert_frame_equal(
        predict(tmp_path / "saved", genotypes=genotypes).table,
        predict(folder, genotypes=genotypes).table,
    )
    with pytest.raises(SettingsError, match="the folder of one model; leave --model one out"):
        predict(tmp_path / "saved", genotypes=genotypes, model="one")


def test_a_run_with_a_changed_file_is_refused(out: Path, tmp_path: Path) -> None:
    folder = sorted((out / "runs").glob("ridge-*"))[0]
    copy = tmp_path / folder.name
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "config.json").write_text("{}")
    with pytest.raises(StorageError, match="not those of its DONE"):
        predict(copy, genotypes="x")
