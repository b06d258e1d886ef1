from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines import modal_container
from crosstrait.experiments.engines.choose import check_engine
from crosstrait.experiments.engines.engine import Engine, Outcome, Task, both_passes
from crosstrait.experiments.engines.local import InProcess
from crosstrait.experiments.engines.modal_engine import ModalEngine, memory_needed
from crosstrait.experiments.engines.modal_image import pinned_packages
from crosstrait.experiments.engines.modal_service import Needs, bind
from crosstrait.experiments.engines.modal_table import ModalConfig
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import group_runs, plan
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.search import search_folder
from crosstrait.experiments.searches import Search, plan_searches
from crosstrait.experiments.trials import read_trials
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from crosstrait.training.network import CHECKPOINT_SECONDS
from crosstrait.training.progress import EpochDone
from support.experiments import TINY, write_tiny
from support.near import NearService, near

modal = pytest.importorskip("modal", reason="needs Modal: pip install 'crosstrait[modal]'")
pytest.importorskip("optuna", reason="searches too")
pytestmark = pytest.mark.usefixtures("kept_threads")

TUNED = TINY.replace("[train]", "[tune]\ntrials = 2\n[train]")


class Silent:
    """Hears of everything and shows nothing."""

    def __init__(self) -> None:
        self.epochs: list[EpochDone] = []

    def started(self, group: Task) -> None: ...

    def epoch(self, group: Task, done: EpochDone) -> None:
        self.epochs.append(done)


def tasks_of(path: Path) -> tuple[list[Task], Any]:
    """The searches and the runs of an experiment, and how to make a workplace for them."""
    experiment = read_experiment(path)
    panel = open_panel(path.parent / "cross.zarr")
    splits = tuple(k_fold(panel, folds=2))
    runs = plan(experiment, panel=panel, splits=splits)
    tasks: list[Task] = [*group_runs(runs)]
    if experiment.tune is not None:
        tasks += plan_searches(experiment, runs)
    return tasks, lambda out: Workplace(panel=panel, splits=splits, cache=RunCache(out / "runs"))


def outcomes(engine: Engine, tasks: Sequence[Task], at: Workplace) -> list[Outcome]:
    return list(both_passes(engine, tasks, at=at, listener=Silent()))


def test_modal_gives_the_bits_of_this_machine(tmp_path: Path) -> None:
    tasks, workplace = tasks_of(write_tiny(tmp_path, text=TUNED))
    here, there = workplace(tmp_path / "here"), workplace(tmp_path / "there")
    services: list[NearService] = []
    engine = ModalEngine(workers=1, connect=near(tmp_path / "volume", services=services))
    done = outcomes(engine, tasks, there)
    assert [outcome.status for outcome in done] == ["finished"] * len(tasks), done
    assert {o.status for o in outcomes(InProcess(1), tasks, here)} == {"finished"}
    for task in tasks:
        if isinstance(task, Search):
            scores = [
                [(dict(t.settings), t.score) for t in read_trials(search_folder(task, at=at))]
                for at in (here, there)
            ]
            assert len(scores[0]) == 2
            assert scores[0] == scores[1]
            continue
        for run in task.runs:
            left, right = here.cache.find(run), there.cache.find(run)
            assert left is not None
            assert right is not None
            for name in ("metrics.csv", "cells.parquet", "model.safetensors"):
                assert (left / name).read_bytes() == (right / name).read_bytes(), name
    [service] = services
    assert {name for name, _ in service.heard} <= {task.name for task in tasks}
    assert any(name.startswith("canonical") for name, _ in service.heard)
    assert {o.status for o in outcomes(engine, tasks, there)} == {"cached"}


def test_data_are_sent_once_whatever_the_experiment(tmp_path: Path) -> None:
    tasks, workplace = tasks_of(write_tiny(tmp_path))
    ridge = tasks[:1]
    volume = tmp_path / "volume"
    engine = ModalEngine(workers=1, connect=near(volume, services=[]))
    outcomes(engine, ridge, workplace(tmp_path / "first"))
    sent = {path: path.stat().st_mtime_ns for path in volume.rglob("*") if path.is_file()}
    assert len(sent) == 3  # the panel, two splits
    outcomes(engine, ridge, workplace(tmp_path / "second"))
    assert {p: p.stat().st_mtime_ns for p in volume.rglob("*") if p.is_file()} == sent


class Taken(queue.Queue[tuple[str, EpochDone]]):
    """A line at whose second word the container is taken away, after a checkpoint was due."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item[1].epoch > 1:
            raise SystemExit(143)
        time.sleep(CHECKPOINT_SECONDS)


def test_a_container_that_is_taken_away_is_gone_on_from(tmp_path: Path) -> None:
    text = TINY.replace("replicates = 2", "replicates = 1")
    tasks, workplace = tasks_of(write_tiny(tmp_path, text=text))
    networks = [task for task in tasks if task.first.label == "canonical"][:1]
    here, there = workplace(tmp_path / "here"), workplace(tmp_path / "there")
    volume, services = tmp_path / "volume", []
    taken = ModalEngine(1, connect=near(volume, services=services, line=Taken()))
    [lost] = outcomes(taken, networks, there)
    assert lost.status == "failed"
    assert lost.lost == networks[0].runs
    assert lost.message.startswith("its Modal container was lost: ")
    assert "\n" not in lost.message
    assert any(name.endswith(".safetensors") for name in services[0].store.names("unfinished"))
    again = ModalEngine(1, connect=near(volume, services=services))
    [finished] = outcomes(again, networks, there)
    assert finished.status == "finished"
    assert [done.epoch for _, done in services[1].heard] == [2]
    assert services[1].store.names("unfinished") == set()
    outcomes(InProcess(1), networks, here)
    for run in networks[0].runs:
        left, right = here.cache.find(run), there.cache.find(run)
        assert left is not None
        assert right is not None
        assert (left / "metrics.csv").read_bytes() == (right / "metrics.csv").read_bytes()


def test_a_gpu_is_for_networks_that_may_use_it(tmp_path: Path) -> None:
    text = TINY.replace('device = "cpu"\n', "max_epochs = 1\n").replace("max_epochs = 3\n", "")
    tasks, workplace = tasks_of(write_tiny(tmp_path, text=text))
    services: list[NearService] = []
    engine = ModalEngine(
        1, config=ModalConfig(gpu="L4"), connect=near(tmp_path / "volume", services=services)
    )
    outcomes(engine, tasks, workplace(tmp_path / "out"))
    assert set(services[0].on_gpu) == {"canonical"}


def test_a_container_with_too_few_gpus_is_refused_before_it_is_paid_for(tmp_path: Path) -> None:
    text = TINY.replace('device = "cpu"\n', "devices = 2\n")
    tasks, workplace = tasks_of(write_tiny(tmp_path, text=text))
    services: list[NearService] = []
    engine = ModalEngine(
        1, config=ModalConfig(gpu="L4"), connect=near(tmp_path / "volume", services=services)
    )
    with pytest.raises(SettingsError, match=r"'canonical' trains on devices = 2; set gpu = 'L4:2'"):
        outcomes(engine, tasks, workplace(tmp_path / "out"))
    assert services == []


def test_a_container_has_what_was_asked_for() -> None:
    needs = Needs(cpus=2, memory_gb=1.5, gpu="L4", minutes=90)
    functions = bind(modal.App("crosstrait"), needs)
    for gpu, function in functions.items():
        spec = function._spec_
        assert (spec.cpu, spec.memory, spec.gpus) == (2.0, 1536, "L4" if gpu else None)
        name = function._raw_f_.__module__, function._raw_f_.__qualname__
        assert name == (modal_container.__name__, "carry_out_in_container")  # as it is imported
    without = bind(modal.App("crosstrait"), replace(needs, gpu=None))
    assert without[True] is without[False]


def test_memory_grows_with_the_panel() -> None:
    panel, _ = simulate(SimulationConfig(n_samples=20, n_loci=10, n_traits=1, n_causal=2))
    assert 1.5 < memory_needed(panel) < 1.6


def test_the_image_has_the_versions_of_here_and_nothing_that_it_does_not_need() -> None:
    pins = dict(pin.split("==") for pin in pinned_packages())
    assert {"numpy", "pydantic", "safetensors", "scipy", "torch", "zarr"} <= set(pins)
    assert not {"crosstrait", "modal", "mypy", "pytest", "ray", "ruff"} & set(pins)
    for name, pinned in pins.items():
        assert version(name).partition("+")[0] == pinned


def test_without_modal_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    with pytest.raises(SettingsError, match=r"needs Modal: pip install 'crosstrait\[modal\]'"):
        check_engine("modal", workers=None)


def test_without_a_token_one_line_says_how_to_get_one(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MODAL_")}
    done = subprocess.run(
        [sys.executable, "-m", "crosstrait.cli", "run", str(path), "--executor", "modal"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "MODAL_CONFIG_PATH": str(tmp_path / "none.toml")},
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.endswith("(Token missing); get a token with: modal token new"), line
    assert not (tmp_path / "results").exists()
