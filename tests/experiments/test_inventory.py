from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path

import pytest

from crosstrait.cli import run_command
from crosstrait.errors import StorageError
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.driver import Result, run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.inventory import list_runs
from crosstrait.experiments.runs_command import explained, listing, pruned
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel
from support.experiments import TINY, write_tiny


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("once")
    return run_experiment(read_experiment(write_tiny(folder)), out=folder / "out")


@pytest.fixture
def done(once: Result, tmp_path: Path) -> Path:
    """A copy of a finished experiment, for tests that change it."""
    shutil.copytree(once.folder, tmp_path / "out")
    return tmp_path / "out"


def the_file(once: Result) -> Path:
    return once.folder.parent / "tiny.toml"


def test_every_run_is_a_line_with_its_place_and_score(once: Result) -> None:
    *lines, last = listing(once.folder)
    assert len(lines) == 6
    assert lines[-1].startswith("ridge-")
    assert "fold" in lines[0]
    assert "test R2" in lines[0]
    assert last.startswith("6 runs")
    assert last.endswith("6 of the last experiment, 0 others, 0 damaged")


def test_before_an_experiment_has_ended_its_runs_are_not_those_of_another(done: Path) -> None:
    (done / "experiment.json").unlink()
    *lines, last = listing(done)
    assert not any("not of the last" in line for line in lines)
    assert "6 finished, 0 damaged; no experiment has ended here yet" in last


def test_runs_that_failed_are_listed_with_their_reasons(done: Path) -> None:
    about = json.loads((done / "experiment.json").read_text())
    lost = {"model": "trees", "replicate": 0, "fold": 1, "reason": "it was cancelled"}
    (done / "experiment.json").write_text(json.dumps(about | {"missing_runs": [lost]}))
    assert "missing: trees replicate 0 fold 1: it was cancelled" in list(listing(done))


def test_what_is_finished_needs_no_explanation(once: Result) -> None:
    assert list(explained(once.folder, file=the_file(once))) == ["6 of 6 runs are finished"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.max_epochs=5", "in training.max_epochs (5, there 3)"),
        ("model.canonical.n_layers=2", "in model.n_layers (2, there 1)"),
        ("train.seed=7", "in seed (7, there 0)"),
        ('data.traits=["trait_2"]', "in traits (without trait_1)"),
        ("data.prune_r=0.9", "in prune_r (0.9, there null)"),
        ("split.seed=3", "in the samples of the split"),
    ],
)
def test_a_missing_run_is_explained_by_what_sets_it_apart(
    once: Result, change: str, said: str
) -> None:
    lines = list(explained(once.folder, file=the_file(once), changes=[change]))
    own = [line for line in lines if line.startswith("canonical replicate 0 fold 0: ")]
    assert len(own) == 1
    assert own[0].endswith(said), own
    assert "differs from canonical-" in own[0]


def test_a_missing_run_is_compared_with_the_same_fold(once: Result) -> None:
    changes = ["model.canonical.n_layers=2"]
    line, *_ = explained(once.folder, file=the_file(once), changes=changes)
    folders = {run.folder.name: run.about["fold"] for run in list_runs(once.folder)}
    assert folders[line.split()[7]] == 0


def test_another_panel_is_named_as_such(once: Result, tmp_path: Path) -> None:
    path = write_tiny(tmp_path, text=TINY)
    shutil.rmtree(tmp_path / "cross.zarr")
    config = SimulationConfig(n_samples=60, n_loci=12, n_traits=2, n_causal=4, seed=5)
    save_panel(simulate(config)[0], tmp_path / "cross.zarr")
    lines = list(explained(once.folder, file=path))
    assert all("in the panel's data" in line for line in lines[:-1])
    assert lines[-1] == "0 of 6 runs are finished"


def test_pruning_shows_first_and_deletes_on_request(done: Path, once: Result) -> None:
    other = read_experiment(the_file(once), changes=["train.max_epochs=2"])
    run_experiment(other, out=done)
    assert len(list_runs(done)) == 10
    shown = list(pruned(done, delete=False))
    assert len(shown) == 5
    assert shown[-1].startswith("4 folders")
    assert len(list_runs(done)) == 10
    assert list(pruned(done, delete=True))[-1].startswith("4 folders deleted")
    assert {run.used for run in list_runs(done)} == {True}
    assert list(pruned(done, delete=True)) == ["there is nothing to prune"]
    assert run_experiment(other, out=done).n_trained == 0


def test_a_damaged_run_is_listed_and_pruned(done: Path) -> None:
    victim = next((done / "runs").glob("ridge-*"))
    (victim / "metrics.csv").write_text("")
    assert any(line.startswith(victim.name) and "damaged" in line for line in listing(done))
    first, *_ = pruned(done, delete=True)
    assert first == f"deleted {victim.name}: damaged"
    assert not victim.exists()


def test_checkpoints_of_an_unfinished_run_go_unless_someone_works(done: Path) -> None:
    left = done / "runs" / ".work" / "canonical-0123"
    left.mkdir()
    cache = RunCache(done / "runs")
    with cache.locked(("a" * 32,), wait=False):
        assert list(pruned(done, delete=False)) == ["there is nothing to prune"]
    first, *_ = pruned(done, delete=True)
    assert first == "deleted canonical-0123: of an unfinished run"
    assert not left.exists()


def test_checkpoints_stay_while_a_driver_prepares_or_a_job_waits_in_a_queue(done: Path) -> None:
    (done / "runs" / ".work" / "canonical-0123").mkdir()
    nothing = ["there is nothing to prune"]
    with RunCache(done / "runs").working():
        assert list(pruned(done, delete=True)) == nothing
    note = done / "slurm" / "submitted" / "canonical-0123.json"
    note.parent.mkdir(parents=True)
    note.touch()
    assert list(pruned(done, delete=True)) == nothing
    note.unlink()
    assert list(pruned(done, delete=True)) != nothing


def test_more_locks_than_files_may_be_open_are_looked_at(done: Path) -> None:
    for k in range(300):
        (done / "runs" / ".locks" / f"{k}.lock").touch()
    (done / "runs" / ".work" / "canonical-0123").mkdir()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (250, before[1]))
    try:
        assert len(list(pruned(done, delete=False))) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_run_that_is_being_trained_stays(done: Path, once: Result) -> None:
    run_experiment(read_experiment(the_file(once), changes=["train.max_epochs=2"]), out=done)
    unused = [run for run in list_runs(done) if not run.used]
    with RunCache(done / "runs").locked((unused[0].key[:32],), wait=False):
        lines = list(pruned(done, delete=True))
    assert lines[-1].startswith("3 folders deleted")
    assert unused[0].folder.exists()


def test_where_no_experiment_has_ended_nothing_is_pruned(done: Path, tmp_path: Path) -> None:
    (done / "experiment.json").unlink()
    with pytest.raises(StorageError, match="no experiment has ended there yet"):
        list(pruned(done, delete=True))
    with pytest.raises(StorageError, match="holds no runs"):
        list(listing(tmp_path / "nowhere"))


def test_the_command_lists_explains_and_prunes(
    done: Path, once: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["runs", str(done)]) == 0
    assert "6 of the last experiment" in capsys.readouterr().out
    changed = ["--explain", str(the_file(once)), "--set", "train.max_epochs=9"]
    assert run_command(["runs", str(done), *changed]) == 0
    assert "training.max_epochs (9, there 3)" in capsys.readouterr().out
    assert run_command(["runs", str(done), "--prune"]) == 0
    assert capsys.readouterr().out == "there is nothing to prune\n"
