from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crosstrait as ct
from crosstrait.errors import SettingsError, TrainingError
from crosstrait.experiments.engines.local import InProcess
from crosstrait.experiments.engines.modal_table import ModalConfig
from crosstrait.experiments.engines.slurm_table import SlurmConfig
from crosstrait.experiments.trainings import run_trainings
from crosstrait.models.registry import config_class
from crosstrait.panel.schema import Panel
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.training.config import TrainConfig


@pytest.fixture(scope="module")
def panel() -> Panel:
    config = SimulationConfig(n_samples=60, n_loci=12, n_traits=2, n_causal=4)
    return simulate(config)[0]


def test_the_folders_come_in_the_order_of_jobs_splits_and_seeds(
    panel: Panel, tmp_path: Path
) -> None:
    canonical = config_class("canonical")(embedding_dim=2, n_layers=1)
    short = TrainConfig(max_epochs=1, device="cpu")
    jobs = [("ridge", None), (canonical, short)]
    splits = ct.split.k_fold(panel, folds=2)
    folders = run_trainings(jobs, panel=panel, split=splits, out=tmp_path, seeds=(3, 4))
    models = [folder.name.split("-")[0] for folder in folders]
    assert models == ["ridge", "ridge", "canonical", "canonical", "canonical", "canonical"]
    cells = [pd.read_parquet(folder / "cells.parquet") for folder in folders]
    assert [int(table["fold"].iloc[0]) for table in cells] == [0, 1, 0, 0, 1, 1]
    assert [ct.load_model(folder).seed for folder in folders[2:]] == [3, 4, 3, 4]
    assert run_trainings(jobs, panel=panel, split=splits, out=tmp_path, seeds=(3, 4)) == folders
    seeds = np.arange(3, 5)
    assert run_trainings(jobs, panel=panel, split=splits, out=tmp_path, seeds=seeds) == folders


def test_overrides_and_whole_settings_that_agree_are_one_run(panel: Panel, tmp_path: Path) -> None:
    split = ct.split.random(panel)
    model = {"type": "canonical", "embedding_dim": 2, "n_layers": 1}
    whole = TrainConfig(max_epochs=1, learning_rate=1e-3, device="cpu")
    first, second = run_trainings(
        [(model, {"max_epochs": 1, "device": "cpu"}), (model, whole)],
        panel=panel,
        split=split,
        out=tmp_path,
    )
    assert first == second


def test_selected_traits_are_predicted(panel: Panel, tmp_path: Path) -> None:
    [folder] = run_trainings(
        [("ridge", None)],
        panel=panel,
        split=ct.split.random(panel),
        out=tmp_path,
        traits=["trait_2"],
    )
    assert ct.load_model(folder).trait_names == ("trait_2",)


def test_a_failed_training_is_reported_after_the_others_are_done(
    panel: Panel, tmp_path: Path
) -> None:
    diverging = (
        {"type": "canonical", "embedding_dim": 2},
        {"learning_rate": 1e30, "max_epochs": 2},
    )
    with pytest.raises(TrainingError, match="1 of 2 trainings failed"):
        run_trainings(
            [diverging, ("ridge", None)], panel=panel, split=ct.split.random(panel), out=tmp_path
        )
    assert len(list((tmp_path / "runs").glob("ridge-*/DONE"))) == 1


def test_what_a_cluster_is_asked_for_reaches_its_engine(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def engine_of_here(name: str, **settings: object) -> InProcess:
        asked.update(settings)
        return InProcess()

    monkeypatch.setattr("crosstrait.experiments.trainings.make_engine", engine_of_here)
    run_trainings(
        [("ridge", None)],
        panel=panel,
        split=ct.split.random(panel),
        out=tmp_path,
        workers=None,
        slurm={"partition": "short", "minutes": 5},
        modal=ModalConfig(gpu="L4"),
    )
    assert asked == {
        "workers": None,
        "threads": 1,
        "slurm": SlurmConfig(partition="short", minutes=5),
        "modal": ModalConfig(gpu="L4"),
    }


@pytest.mark.parametrize("name", ["slurm", "modal"])
def test_an_unknown_setting_of_a_cluster_is_refused(
    panel: Panel, tmp_path: Path, name: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name}: unknown setting 'minuts'.*'minutes'"):
        run_trainings(
            [("ridge", None)],
            panel=panel,
            split=ct.split.random(panel),
            out=tmp_path / "out",
            **{name: {"minuts": 5}},
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("jobs", "seeds", "part"),
    [
        ([("ridge", None)], (), "give at least one"),
        ([("ridge", None)], (1, 1), "each once"),
        ([("ridge", None)], (0, -1), "whole numbers from 0 on"),
        ([("ridge", None)], (0, 1.5), "whole numbers from 0 on"),
        ([("ridge", None)], (True,), "whole numbers from 0 on"),
        ([("rigde", None)], (0,), "did you mean 'ridge'?"),
        ([("canonical", {"epochs": 3})], (0,), r"job 0 (canonical): unknown setting 'epochs'"),
    ],
)
def test_unusable_jobs_are_refused(
    panel: Panel, tmp_path: Path, jobs: list, seeds: tuple[Any, ...], part: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        run_trainings(
            jobs, panel=panel, split=ct.split.random(panel), out=tmp_path / "out", seeds=seeds
        )
    assert part in str(caught.value)
    assert not (tmp_path / "out").exists()
