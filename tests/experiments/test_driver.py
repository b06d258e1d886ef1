from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from crosstrait.errors import LostError, SettingsError, TrainingError
from crosstrait.evaluation.cells import CELL_COLUMNS
from crosstrait.evaluation.leaderboard import LEADERBOARD_COLUMNS
from crosstrait.evaluation.metrics import r2
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.driver import Result, check_engine, draw_splits, run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.interrupt import Interrupted, stopping_on_signals
from crosstrait.experiments.plan import group_runs, plan
from crosstrait.experiments.run import Workplace, train_group
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.simulate_settings import Missing
from crosstrait.panel.sources import load_panel
from crosstrait.panel.storage import open_panel, save_panel
from crosstrait.training.load import load_model
from crosstrait.training.progress import EpochDone
from support.experiments import RIDGE, TINY, write_tiny


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The tiny experiment, run once for the tests that only look at what it left."""
    folder = tmp_path_factory.mktemp("tiny")
    return run_experiment(read_experiment(write_tiny(folder)), out=folder / "out")


def test_the_folder_holds_what_the_design_says(done: Result) -> None:
    assert (done.n_trained, done.n_cached, done.failures) == (6, 0, ())
    board = pd.read_csv(done.folder / "leaderboard.csv")
    assert list(board.columns) == list(LEADERBOARD_COLUMNS)
    assert set(board["model"]) == {"ridge", "canonical"}
    assert set(board["trait"]) == {"mean", "trait_1", "trait_2"}
    replicates = board.groupby("model")["n_replicates"].unique()
    assert replicates["ridge"].tolist() == [1]
    assert replicates["canonical"].tolist() == [2]
    assert (board["train_seconds"] > 0).all()
    cells = pd.read_parquet(done.folder / "predictions.parquet")
    assert set(cells.columns) == set(CELL_COLUMNS)
    assert len(cells) == 60 * 2 * 3
    runs = [p for p in (done.folder / "runs").iterdir() if not p.name.startswith(".")]
    assert len(runs) == 6
    for run in runs:
        assert run.name.split("-")[0] in ("ridge", "canonical")
        assert {p.name for p in run.iterdir()} == {
            "DONE",
            "README.md",
            "cells.parquet",
            "config.json",
            "history.csv",
            "intervals.parquet",
            "metrics.csv",
            "model.safetensors",
            "provenance.json",
        }
    assert list((done.folder / "runs" / ".work").iterdir()) == []


def test_the_metrics_have_the_published_names_and_the_test_scores(done: Result) -> None:
    for folder in (done.folder / "runs").glob("[a-z]*"):
        metrics = pd.read_csv(folder / "metrics.csv", index_col="metric")["value"]
        assert list(metrics.index) == [
            "best_val_loss",
            "final_val_loss",
            "best_val_r2",
            "final_val_r2",
            "test_loss",
            "test_r2",
            "test_r2_trait_1",
            "test_r2_trait_2",
        ]
        cells = pd.read_parquet(folder / "cells.parquet")
        scores = [
            r2(own["observed"], predicted=own["predicted"])[0]
            for _, own in cells.groupby("trait", observed=True)
        ]
        assert metrics["test_r2"] == pytest.approx(np.mean(scores))
        assert metrics[["test_r2_trait_1", "test_r2_trait_2"]].tolist() == pytest.approx(scores)
        watched = metrics[["best_val_loss", "final_val_r2"]].notna().all()
        assert watched == folder.name.startswith("canonical")


def test_the_test_loss_is_the_mean_squared_error_in_standardised_units(done: Result) -> None:
    panel = open_panel(done.folder.parent / "cross.zarr")
    folder = next((done.folder / "runs").glob("ridge-*"))
    cells = pd.read_parquet(folder / "cells.parquet")
    about = json.loads((folder / "provenance.json").read_text())
    split = json.loads((done.folder / "splits" / f"fold-{about['fold']}.json").read_text())
    rows = np.isin(panel["sample_id"].values, split["train"])
    sd = dict(
        zip(
            panel["trait_name"].values.tolist(),
            np.nanstd(panel["trait_value"].values[rows], axis=0),
            strict=True,
        )
    )
    error = (cells["observed"] - cells["predicted"]) / cells["trait"].astype(str).map(sd)
    metrics = pd.read_csv(folder / "metrics.csv", index_col="metric")["value"]
    assert metrics["test_loss"] == pytest.approx(float((error**2).mean()))


def test_the_provenance_says_what_the_run_was_made_of(done: Result) -> None:
    folder = next((done.folder / "runs").glob("canonical-*"))
    about = json.loads((folder / "provenance.json").read_text())
    assert folder.name == f"canonical-{about['key'][:8]}"
    assert about["key_parts"]["panel"] == open_panel(done.folder.parent / "cross.zarr").digest
    assert about["key_parts"]["model"]["embedding_dim"] == 4
    assert {"torch", "crosstrait", "python"} <= set(about["versions"])
    assert {"command", "started", "finished", "seconds", "machine", "seed"} <= set(about)


def test_a_saved_run_predicts_what_the_table_says(done: Result) -> None:
    panel = open_panel(done.folder.parent / "cross.zarr")
    for folder in (done.folder / "runs").glob("[a-z]*"):
        cells = pd.read_parquet(folder / "cells.parquet")
        predicted = load_model(folder).predict(panel["call_dosage"].values)
        row = {name: i for i, name in enumerate(panel["sample_id"].values.tolist())}
        column = {name: j for j, name in enumerate(panel["trait_name"].values.tolist())}
        own = predicted[cells["sample"].map(row), cells["trait"].map(column)]
        np.testing.assert_allclose(own, cells["predicted"], rtol=1e-5, atol=1e-6)


def test_nothing_is_trained_twice(done: Result) -> None:
    experiment = read_experiment(done.folder.parent / "tiny.toml")
    before = {p: p.stat().st_mtime_ns for p in (done.folder / "runs").glob("*/*")}
    tables = [done.folder / name for name in ("leaderboard.csv", "comparison.csv")]
    contents = [table.read_bytes() for table in tables]
    again = run_experiment(experiment, out=done.folder)
    assert (again.n_trained, again.n_cached) == (0, 6)
    assert {p: p.stat().st_mtime_ns for p in (done.folder / "runs").glob("*/*")} == before
    assert [table.read_bytes() for table in tables] == contents


def test_one_more_replicate_trains_its_runs_alone(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    first = run_experiment(
        read_experiment(path, changes=["train.replicates=1"]), out=tmp_path / "o"
    )
    assert (first.n_trained, first.n_cached) == (4, 0)
    second = run_experiment(read_experiment(path), out=tmp_path / "o")
    assert (second.n_trained, second.n_cached) == (2, 4)


def test_replicates_that_are_added_leave_an_interrupted_training_its_checkpoint(
    tmp_path: Path,
) -> None:
    experiment = read_experiment(write_tiny(tmp_path), changes=["train.max_epochs=6"])
    panel = load_panel(experiment.data.panel)
    splits = draw_splits(experiment, panel)
    at = Workplace(panel=panel, splits=splits, cache=RunCache(tmp_path / "out" / "runs"))
    runs = [run for run in plan(experiment, panel=panel, splits=splits) if run.fold == 0]
    [*_, network] = group_runs(runs)

    def leave(done: EpochDone) -> None:
        if (done.epoch, done.seed) == (3, 0):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted), stopping_on_signals():
        train_group(network, at=at, progress=leave)

    more = read_experiment(
        tmp_path / "tiny.toml", changes=["train.max_epochs=6", "train.replicates=4"]
    )
    [*_, larger] = group_runs(
        run for run in plan(more, panel=panel, splits=splits) if run.fold == 0
    )
    begun, added = at.cache.as_begun(larger)
    assert begun.name == network.name
    assert [run.replicate for run in added.runs] == [2, 3]
    told: list[int] = []
    train_group(begun, at=at, progress=lambda done: told.append(done.epoch))
    assert min(told) > 3
    result = run_experiment(more, out=tmp_path / "out")
    assert not result.failures
    assert at.cache.as_begun(larger) == [larger]


def test_a_training_that_was_lost_keeps_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = read_experiment(write_tiny(tmp_path))
    panel = load_panel(experiment.data.panel)
    splits = draw_splits(experiment, panel)
    at = Workplace(panel=panel, splits=splits, cache=RunCache(tmp_path / "runs"))
    [*_, network] = group_runs(plan(experiment, panel=panel, splits=splits))

    def fails(*_: object, folder: Path, **__: object) -> None:
        folder.mkdir(parents=True)
        (folder / "checkpoint-a.safetensors").touch()
        raise error

    monkeypatch.setattr("crosstrait.training.fit.fit_replicates", fails)
    for error, kept in ((LostError("killed"), True), (TrainingError("not finite"), False)):
        at.cache.drop_work(network)
        with pytest.raises(type(error)):
            train_group(network, at=at)
        assert at.cache.work_folder(network).exists() == kept


def test_a_model_with_a_new_name_is_not_trained_again(tmp_path: Path) -> None:
    path = write_tiny(tmp_path, text=RIDGE)
    run_experiment(read_experiment(path), out=tmp_path / "out")
    renamed = read_experiment(path, changes=["model.0.name=blup"])
    again = run_experiment(renamed, out=tmp_path / "out")
    assert (again.n_trained, again.n_cached) == (0, 2)
    assert set(pd.read_csv(tmp_path / "out" / "leaderboard.csv")["model"]) == {"blup"}


def test_a_failed_run_stops_and_hides_no_other(tmp_path: Path) -> None:
    # A learning rate this large makes the loss of the second model infinite.
    text = TINY + "[model.train]\nlearning_rate = 1e30\nmax_epochs = 2\n"
    experiment = read_experiment(write_tiny(tmp_path, text=text))
    shown = io.StringIO()
    result = run_experiment(
        experiment, out=tmp_path / "out", console=Console(file=shown, width=400)
    )
    assert result.n_trained == 2
    assert {str(failure.run) for failure in result.failures} == {
        f"canonical replicate {r} fold {f}" for r in (0, 1) for f in (0, 1)
    }
    for failure in result.failures:
        assert failure.log is not None
        assert "Traceback" in failure.log.read_text()
        assert failure.message in shown.getvalue()
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv").set_index("model")
    assert board.loc["ridge", "mean"].notna().all()
    assert "canonical" not in board.index or board.loc[["canonical"], "mean"].isna().all()
    about = json.loads((tmp_path / "out" / "experiment.json").read_text())
    assert [missing["model"] for missing in about["missing_runs"]] == ["canonical"] * 4


def test_an_experiment_without_a_finished_run_is_an_error(tmp_path: Path) -> None:
    text = RIDGE.partition("[[model]]")[0] + (
        "[[model]]\ntype = 'canonical'\nembedding_dim = 2\n[model.train]\nlearning_rate = 1e30\n"
    )
    experiment = read_experiment(write_tiny(tmp_path, text=text))
    with pytest.raises(TrainingError, match="all 4 runs failed; the first: "):
        run_experiment(experiment, out=tmp_path / "out")


def test_models_of_some_traits_are_trained_on_those(tmp_path: Path) -> None:
    text = RIDGE + "[[model]]\ntype = 'ridge'\nname = 'one'\ntraits = ['trait_2']\n"
    run_experiment(read_experiment(write_tiny(tmp_path, text=text)), out=tmp_path / "out")
    cells = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    traits = cells.groupby("model")["trait"].unique()
    assert sorted(traits["ridge"]) == ["trait_1", "trait_2"]
    assert sorted(traits["one"]) == ["trait_2"]
    ridge = cells[(cells["model"] == "ridge") & (cells["trait"] == "trait_2")]
    one = cells[cells["model"] == "one"]
    np.testing.assert_allclose(ridge["predicted"], one["predicted"], rtol=1e-9)


def test_an_unknown_trait_is_refused_before_any_training(tmp_path: Path) -> None:
    experiment = read_experiment(
        write_tiny(tmp_path, text=RIDGE), changes=["data.traits=['trait_3']"]
    )
    with pytest.raises(SettingsError, match=r"\[data\]: unknown trait 'trait_3'"):
        run_experiment(experiment, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "workers", "part"),
    [
        ("lcoal", 1, "did you mean 'local'?"),
        ("local", 0, "at least one process"),
    ],
)
def test_an_engine_that_is_not_there_is_refused(name: str, workers: int, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_engine(name, workers=workers)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("protocol", "whole_only"),
    [("masked", False), ("complete-training", False), ("complete-cases", True)],
)
def test_the_protocol_decides_which_test_cells_are_scored(
    tmp_path: Path, protocol: str, whole_only: bool
) -> None:
    holes = Missing(traits=0.3)
    config = SimulationConfig(n_samples=60, n_loci=12, n_traits=2, n_causal=4, missing=holes)
    panel, _ = simulate(config)
    save_panel(panel, tmp_path / "cross.zarr")
    path = write_tiny(tmp_path, text=RIDGE + "[[model]]\ntype = 'canonical'\nembedding_dim = 2\n")
    experiment = read_experiment(path, changes=[f"train.protocol={protocol}", "train.max_epochs=1"])
    run_experiment(experiment, out=tmp_path / "out")
    measured = ~np.isnan(panel["trait_value"].values)
    scored = measured & measured.all(axis=1, keepdims=True) if whole_only else measured
    cells = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    ridge = cells[cells["model"] == "ridge"].groupby("trait").size()
    assert ridge.tolist() == scored.sum(axis=0).tolist()
    about = json.loads((tmp_path / "out" / "experiment.json").read_text())
    assert about["protocol"] == protocol
