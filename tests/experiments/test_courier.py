from __future__ import annotations

import threading
from pathlib import Path

import pytest

from crosstrait.experiments.cache import RunCache, is_finished
from crosstrait.experiments.courier import Courier, FileStore
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import Group, plan
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from support.experiments import write_tiny


class Taker:
    """Takes what a courier sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, bytes]] = []
        self._more = threading.Event()

    def __call__(self, files: dict[str, bytes]) -> None:
        self.sent.append(files)
        self._more.set()

    def wait(self) -> None:
        assert self._more.wait(30)
        self._more.clear()


def test_files_are_sent_when_they_have_changed_and_only_then(tmp_path: Path) -> None:
    taker, work = Taker(), tmp_path / "runs" / ".work" / "a"
    with Courier([work], root=tmp_path, send=taker, between_seconds=0.01):
        work.mkdir(parents=True)
        (work / "checkpoint-1.partial").write_bytes(b"half")
        (work / "checkpoint-1.safetensors").write_bytes(b"one")
        taker.wait()
        (work / "beside").write_bytes(b"two")
        (work / "beside").replace(work / "checkpoint-1.safetensors")
        taker.wait()
    names = {name for files in taker.sent for name in files}
    assert "runs/.work/a/checkpoint-1.safetensors" in names
    assert not any(name.endswith(".partial") for name in names)
    last = [files for files in taker.sent if "runs/.work/a/checkpoint-1.safetensors" in files][-1]
    assert last["runs/.work/a/checkpoint-1.safetensors"] == b"two"
    assert len(taker.sent) <= 3


def test_a_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert store.fetch(["runs/.work/a"]) == {}
    files = {"runs/.work/a/part-0/checkpoint": b"x", "tuning/a/trial-0000.json": b"{}"}
    store.store(files)
    store.store({"runs/.work/b/checkpoint": b"y"})
    assert store.fetch(["runs/.work/a", "tuning/a"]) == files


def test_runs_that_come_as_bytes_are_published_whole(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    experiment = read_experiment(path)
    there = run_experiment(experiment, out=tmp_path / "there").folder
    panel = open_panel(tmp_path / "cross.zarr")
    runs = plan(experiment, panel=panel, splits=k_fold(panel, folds=2))
    sent = {
        run.key: {file.name: file.read_bytes() for file in folder.iterdir()}
        for run in runs
        if (folder := RunCache(there / "runs").find(run)) is not None
    }
    assert len(sent) == 6
    here = RunCache(tmp_path / "here" / "runs")
    sent[runs[0].key]["metrics.csv"] += b" "  # damaged on the way
    here.receive(Group(tuple(runs)), files=sent)
    assert here.find(runs[0]) is None
    for run in runs[1:]:
        found = here.find(run)
        assert found is not None
        assert is_finished(found, key=run.key)
    assert list((here.folder / ".new").iterdir()) == []


@pytest.mark.parametrize("files", [{}, {"another key": {"DONE": b"{}"}}])
def test_nothing_is_published_where_nothing_of_ours_came(
    tmp_path: Path, files: dict[str, dict[str, bytes]]
) -> None:
    cache = RunCache(tmp_path / "runs")
    panel = open_panel(write_tiny(tmp_path).parent / "cross.zarr")
    runs = plan(read_experiment(tmp_path / "tiny.toml"), panel=panel, splits=k_fold(panel, folds=2))
    cache.receive(Group(tuple(runs)), files=files)
    assert [path for path in cache.folder.iterdir() if not path.name.startswith(".")] == []
