from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest

from crosstrait.errors import StorageError
from crosstrait.experiments.cache import DONE, RunCache, is_finished
from crosstrait.experiments.plan import Group, Run
from crosstrait.models.registry import config_class
from crosstrait.training.config import TrainConfig


def a_run(key: str = "a1b2c3d4" + "0" * 56, *, label: str = "ridge", seed: int = 0) -> Run:
    return Run(
        label=label,
        config=config_class("ridge")(),
        train=TrainConfig(),
        traits=("a",),
        prune_r=None,
        fold=0,
        replicate=seed,
        seed=seed,
        key=key,
        parts={},
    )


@pytest.fixture
def cache(tmp_path: Path) -> RunCache:
    return RunCache(tmp_path / "runs")


def publish(cache: RunCache, *runs: Run, text: str = "r2,0.5\n") -> None:
    with cache.publishing(Group(runs)) as folders:
        for folder in folders.values():
            (folder / "metrics.csv").write_text(text)


def test_a_published_run_is_found_in_a_folder_named_by_model_and_key(cache: RunCache) -> None:
    run = a_run()
    assert cache.find(run) is None
    publish(cache, run)
    assert cache.find(run) == cache.folder / "ridge-a1b2c3d4"
    assert sorted(p.name for p in (cache.folder / "ridge-a1b2c3d4").iterdir()) == [
        DONE,
        "metrics.csv",
    ]
    assert list((cache.folder / ".new").iterdir()) == []


def test_a_run_is_found_under_the_name_that_its_model_had(cache: RunCache) -> None:
    publish(cache, a_run())
    assert cache.find(a_run(label="blup")) == cache.folder / "ridge-a1b2c3d4"


@pytest.mark.parametrize("name", ["metrics.csv", DONE])
@pytest.mark.parametrize("damage", ["remove", "cut", "change"])
def test_a_folder_with_a_damaged_file_is_not_finished_and_is_replaced(
    cache: RunCache, name: str, damage: str
) -> None:
    run = a_run()
    publish(cache, run)
    path = cache.folder / "ridge-a1b2c3d4" / name
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        path.write_bytes(path.read_bytes().replace(b"5", b"6").replace(b"a1", b"b2"))
    assert cache.find(run) is None
    publish(cache, run)
    found = cache.find(run)
    assert found is not None
    assert (found / "metrics.csv").read_text() == "r2,0.5\n"


def test_a_card_may_be_edited_and_a_run_without_one_is_whole(cache: RunCache) -> None:
    """People add a licence to it; folders of earlier versions have none."""
    run = a_run()
    with cache.publishing(Group((run,))) as folders:
        (folders[run.key] / "metrics.csv").write_text("r2,0.5\n")
        (folders[run.key] / "README.md").write_text("a card\n")
    found = cache.find(run)
    assert found is not None
    (found / "README.md").write_text("license: mit\n")
    assert cache.find(run) == found
    (found / "README.md").unlink()
    assert cache.find(run) == found


def test_keys_that_begin_alike_are_kept_apart(cache: RunCache) -> None:
    first, second = a_run(), a_run("a1b2c3d4" + "1" * 56)
    publish(cache, first)
    publish(cache, second)
    assert cache.find(first) == cache.folder / "ridge-a1b2c3d4"
    assert cache.find(second) == cache.folder / "ridge-a1b2c3d411111111"


def test_nothing_is_published_when_writing_fails(cache: RunCache) -> None:
    run = a_run()
    with pytest.raises(ZeroDivisionError), cache.publishing(Group((run,))):
        raise ZeroDivisionError
    assert cache.find(run) is None
    assert [p for p in cache.folder.iterdir() if not p.name.startswith(".")] == []


def test_an_error_of_the_disk_says_what_to_do(cache: RunCache) -> None:
    with (
        pytest.raises(StorageError, match="disk is full; free some space"),
        cache.publishing(Group((a_run(),))),
    ):
        raise OSError(28, "No space left on device")


@pytest.fixture
def killed_between_renames(cache: RunCache, monkeypatch: Any) -> tuple[RunCache, Group]:
    """Two runs, written whole, of which the first alone was renamed when the process died."""
    group = Group((a_run(), a_run("b" * 64, seed=1)))
    rename = Path.rename
    renamed = []

    def rename_once(self: Path, target: Path) -> Path:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(target)
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename_once)
        with pytest.raises(KeyboardInterrupt):
            publish(cache, *group.runs)
    assert sum(cache.find(run) is not None for run in group.runs) == 1
    return cache, group


def test_a_kill_between_two_renames_is_made_up_for(
    killed_between_renames: tuple[RunCache, Group],
) -> None:
    cache, group = killed_between_renames
    missing = Group(tuple(run for run in group.runs if cache.find(run) is None))
    cache.recover(missing)
    assert all(cache.find(run) for run in group.runs)
    assert list((cache.folder / ".new").iterdir()) == []


def test_what_was_not_written_whole_is_not_recovered(cache: RunCache) -> None:
    run = a_run()
    half = cache.folder / ".new" / "x" / f"ridge-{run.key}"
    half.mkdir(parents=True)
    (half / "metrics.csv").write_text("r2,0.5\n")
    cache.recover(Group((run,)))
    assert cache.find(run) is None


def test_what_another_process_publishes_meanwhile_is_passed_over(
    killed_between_renames: tuple[RunCache, Group],
) -> None:
    cache, group = killed_between_renames
    # Listed and then not there, as a folder that is renamed and dropped in between.
    (cache.folder / ".new" / "a-group").symlink_to("nowhere")
    cache.recover(group)
    assert all(cache.find(run) for run in group.runs)


def test_a_group_with_a_run_that_is_being_trained_is_busy(cache: RunCache) -> None:
    one, two, other = a_run(), a_run("b" * 64), a_run("c" * 64)
    elsewhere = RunCache(cache.folder)
    with cache.locked(Group((one,)).locks, wait=False) as mine:
        assert mine
        with elsewhere.locked(Group((two, one)).locks, wait=False) as free:
            assert not free
        with elsewhere.locked(Group((two, other)).locks, wait=False) as free:
            assert free
    with elsewhere.locked(Group((two, one)).locks, wait=True) as free:
        assert free


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_file_system_without_locks_is_refused(
    cache: RunCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Lustre is without the option flock; a file in place of a lock would outlive a kill."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    locks = Group((a_run(),)).locks
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", flock)
        with (
            pytest.raises(StorageError, match="has no file locks"),
            cache.locked(locks, wait=False),
        ):
            pass
    with cache.locked(locks, wait=False) as free:
        assert free


def test_a_cache_below_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file.*is a file, not a folder"):
        RunCache(tmp_path / "file" / "runs")


def test_a_folder_that_is_not_there_is_not_finished(tmp_path: Path) -> None:
    assert not is_finished(tmp_path / "nothing")
