from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from crosstrait.errors import StorageError
from crosstrait.training.checkpoint import CheckpointFile, State, remove_checkpoints
from crosstrait.training.network import train_network
from crosstrait.training.progress import EpochDone
from support.interrupted_training import train
from support.training import assert_same_weights, cross, replicate, training

TESTS = Path(__file__).parents[1]
KEY = "0123456789abcdef"
STATE = State(
    tensors={"a": torch.arange(6).reshape(2, 3), "b": torch.tensor([0.1], dtype=torch.float64)},
    values={"epoch": 3, "best": float("inf"), "rate": 0.1},
)


def file(folder: Path, key: str = KEY) -> CheckpointFile:
    return CheckpointFile(folder=folder, key=key)


def assert_is_state(state: State | None) -> None:
    assert state is not None
    assert state.values == STATE.values
    assert state.tensors.keys() == STATE.tensors.keys()
    for name, tensor in STATE.tensors.items():
        assert torch.equal(state.tensors[name], tensor)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file(tmp_path / "new").save(STATE)
    assert_is_state(file(tmp_path / "new").load())


def test_without_a_file_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert file(tmp_path / "absent").load() is None


def test_a_checkpoint_of_other_data_or_settings_is_not_read(tmp_path: Path) -> None:
    mine, theirs = file(tmp_path), file(tmp_path, key=KEY[:12] + "ffff")
    assert mine.path == theirs.path
    theirs.save(STATE)
    assert mine.load() is None


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_not_read(tmp_path: Path, share: float) -> None:
    file(tmp_path).save(STATE)
    whole = file(tmp_path).path.read_bytes()
    file(tmp_path).path.write_bytes(whole[: int(share * len(whole))])
    assert file(tmp_path).load() is None


def test_a_half_written_save_leaves_the_previous_one(tmp_path: Path) -> None:
    file(tmp_path).save(STATE)
    beside = file(tmp_path).path.with_suffix(".partial")
    beside.write_bytes(file(tmp_path).path.read_bytes()[:100])  # killed here
    assert_is_state(file(tmp_path).load())
    file(tmp_path).save(STATE)
    assert list(tmp_path.iterdir()) == [file(tmp_path).path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match=r"taken.*could not be written.*choose another folder"):
        file(tmp_path / "taken").save(STATE)


def test_a_full_disk_is_an_error_of_ours_and_keeps_the_previous(tmp_path: Path) -> None:
    file(tmp_path).save(STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(StorageError, match="could not be written"):
            file(tmp_path).save(State(tensors={"a": torch.zeros(999)}, values={}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [file(tmp_path).path]
    assert_is_state(file(tmp_path).load())


def test_checkpoints_are_removed_and_nothing_else(tmp_path: Path) -> None:
    file(tmp_path).save(STATE)
    file(tmp_path, key="f" * 16).save(STATE)
    (tmp_path / "model.safetensors").write_text("")
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    data, config = cross(), training()
    [first] = train_network([replicate(0)], data, config, checkpoint=file(tmp_path))
    seen: list[EpochDone] = []
    [second] = train_network(
        [replicate(0)], data, config, checkpoint=file(tmp_path), progress=seen.append
    )
    assert seen == []
    assert_same_weights(first.network, second.network)
    assert second.history == first.history
    assert second.seconds == pytest.approx(first.seconds, abs=0.5)


def test_checkpoints_are_no_more_frequent_than_asked_for(tmp_path: Path) -> None:
    saves: list[State] = []

    class Counting(CheckpointFile):
        def save(self, state: State) -> None:
            saves.append(state)

    counting = Counting(folder=tmp_path, key=KEY)
    train_network([replicate(0)], cross(), training(), checkpoint=counting, checkpoint_seconds=60)
    assert [state.values["epoch"] for state in saves] == [3]
    train_network([replicate(0)], cross(), training(), checkpoint=counting, checkpoint_seconds=0)
    assert len(saves) == 1 + 3 * 5


def test_training_goes_on_to_the_same_bits_after_every_kind_of_epoch(tmp_path: Path) -> None:
    undisturbed = train(None, every=1e9)
    lengths = [len(history) for history in undisturbed["numbers"][0]]
    assert 10 < min(lengths) < max(lengths) < 20  # both stop early, one after the other
    for last in range(1, min(lengths)):

        def stop(done: EpochDone, last: int = last) -> None:
            if done.epoch == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, every=0.0, progress=stop)
    resumed = train(tmp_path, every=0.0)
    assert 0 < resumed["n_seen"] < sum(lengths) / 2
    assert resumed["numbers"] == undisturbed["numbers"]


def test_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    signals = ["KILL", "TERM", "KILL", "INT", "KILL"]
    program = TESTS / "support" / "interrupted_training.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", program, tmp_path, *signals],
        env={"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["same"], report
    assert report["n_resumed"] < report["n_undisturbed"], report
    assert report["files"] == [file(tmp_path).path.name]
    expected = {"KILL": {-9, 0}, "TERM": {143, -15, 0}, "INT": {130, 0}}
    for name, code in zip(signals, report["exits"], strict=True):
        assert code in expected[name], report
    assert report["exits"].count(-9) >= 1, report
