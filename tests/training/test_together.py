"""One network trained by several processes is the network that one process trains."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from crosstrait.errors import LostError, SettingsError, StorageError, TrainingError
from crosstrait.panel.schema import Panel
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.simulate_settings import Missing
from crosstrait.split import random
from crosstrait.split.manifest import Split
from crosstrait.training import together
from crosstrait.training.config import TrainConfig
from crosstrait.training.device import choose_device
from crosstrait.training.fit import fit, fit_replicates
from crosstrait.training.fitted import Fitted
from crosstrait.training.processes import Processes
from crosstrait.training.progress import EpochDone, Progress
from support.together import Forked

MODEL = {"type": "canonical", "embedding_dim": 4, "n_layers": 1}
# Single precision: gradients are summed in another order, and Adam divides small by small.
SUMS = {"rtol": 2e-3, "atol": 1e-5}
LOSSES = ["train_loss", "val_loss", "val_r2"]


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together.subprocess, "Popen", Forked)


@pytest.fixture(scope="module")
def panel() -> Panel:
    holes = Missing(traits=0.5)
    made, _ = simulate(
        SimulationConfig(n_samples=150, n_loci=16, n_traits=3, n_causal=5, missing=holes)
    )
    return made


@pytest.fixture(scope="module")
def split(panel: Panel) -> Split:
    return random(panel, test=0.2, validation=0.2, seed=0)


def training(**changes: Any) -> dict[str, Any]:
    """Batches of 33 of 96 samples: uneven shares, and a last batch of fewer samples still."""
    own = {"max_epochs": 5, "batch_size": 33, "learning_rate": 0.02, "device": "cpu"}
    return own | changes


def numbers(fitted: Fitted, panel: Panel) -> tuple[pd.DataFrame, np.ndarray]:
    history = fitted.history.drop(columns="seconds")
    return history, fitted.predict(panel["call_dosage"].values)


def assert_same(one: Fitted, other: Fitted, panel: Panel, **tolerance: float) -> None:
    (left, predicted), (right, expected) = numbers(one, panel), numbers(other, panel)
    pd.testing.assert_frame_equal(left, right, check_exact=not tolerance, **tolerance)
    np.testing.assert_allclose(predicted, expected, **(tolerance or {"rtol": 0}))


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (MODEL, {"gradient_clip": 0.3, "micro_batch_size": 7}),
        (
            MODEL,
            {
                "max_epochs": 30,
                "learning_rate": 0.1,
                "average_decay": 0.5,
                "schedule": "plateau",
                "plateau_patience": 1,
                "patience": 3,
            },
        ),
        ({"type": "rijal"}, {"schedule": "one_cycle", "optimizer": "adam", "max_epochs": 2}),
    ],
    ids=["clipped-in-parts", "stopped-early", "one-network-a-trait"],
)
def test_two_processes_give_the_losses_and_predictions_of_one(
    model: dict[str, Any], changes: dict[str, Any], panel: Panel, split: Split
) -> None:
    alone, joint = (
        fit_replicates(model, panel, split, seeds=[4, 1], train=training(**changes, devices=n))
        for n in (1, 2)
    )
    for one, two in zip(alone, joint, strict=True):
        assert_same(two, one, panel, **SUMS)
        if "patience" in changes:
            assert len(one.history) < 30


@pytest.mark.usefixtures("forked")
def test_a_killed_training_goes_on_to_the_same_bits(
    panel: Panel, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"type": "transformer", "embedding_dim": 4, "n_heads": 1, "n_layers": 1, "dropout": 0.3}
    train = training(devices=2, average_decay=0.9, max_epochs=8, keep="last")
    undisturbed = fit(model, panel, split, train=train, folder=tmp_path / "undisturbed")
    monkeypatch.setattr(together, "CHECKPOINT_SECONDS", 0.0)  # one after every step
    seen: list[int] = []

    def stop(done: EpochDone) -> None:
        seen.append(done.epoch)
        if done.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, panel, split, train=train, folder=tmp_path / "killed", progress=stop)
    assert seen == [1, 2, 3]
    assert all(process.poll() == -signal.SIGKILL for process in Forked.started[-2:])

    def note(done: EpochDone) -> None:
        seen.append(done.epoch)

    resumed = fit(model, panel, split, train=train, folder=tmp_path / "killed", progress=note)
    assert seen[3] > 1
    assert_same(resumed, undisturbed, panel)


@pytest.mark.usefixtures("forked")
def test_a_process_that_dies_ends_the_training_with_its_name(panel: Panel, split: Split) -> None:
    def shoot(_: EpochDone) -> None:
        os.kill(Forked.started[-1].pid, signal.SIGKILL)

    train = training(devices=2, max_epochs=1000)
    with pytest.raises(LostError, match=r"process 1 .* was killed by SIGKILL; is there"):
        fit(MODEL, panel, split, train=train, progress=shoot)
    assert all(process.poll() is not None for process in Forked.started)


@pytest.mark.usefixtures("forked")
def test_what_a_process_cannot_do_is_told_as_one_process_tells_it(
    panel: Panel, split: Split, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match=r"taken.*could not be written"):
        fit(MODEL, panel, split, train=training(devices=2), folder=tmp_path / "taken")
    messages = []
    for n in (1, 2):
        with pytest.raises(TrainingError, match="not finite at step") as caught:
            fit(MODEL, panel, split, train=training(devices=n, learning_rate=1e30))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_full_temporary_folder_is_one_line_that_names_it(
    panel: Panel, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(together.np, "save", full)
    with pytest.raises(LostError, match=r"crosstrait-.*the disk is full.*; TMPDIR names"):
        fit(MODEL, panel, split, train=training(devices=2))


def test_a_training_on_two_devices_goes_on_on_one(
    panel: Panel, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With processes as they are started outside tests."""
    monkeypatch.setattr(together, "CHECKPOINT_SECONDS", 0.0)
    seen: list[int] = []

    def stop(done: EpochDone) -> None:
        seen.append(done.epoch)
        if done.epoch == 3:
            raise KeyboardInterrupt

    train = training(max_epochs=6)
    with pytest.raises(KeyboardInterrupt):
        fit(MODEL, panel, split, train=train | {"devices": 2}, folder=tmp_path, progress=stop)
    del seen[:]
    resumed = fit(
        MODEL, panel, split, train=train, folder=tmp_path, progress=lambda d: seen.append(d.epoch)
    )
    assert seen[0] > 3
    assert_same(resumed, fit(MODEL, panel, split, train=train), panel, **SUMS)


@pytest.mark.usefixtures("forked")
def test_replicates_that_two_devices_began_go_on_on_one(
    panel: Panel, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "CHECKPOINT_SECONDS", 0.0)

    def stop(done: EpochDone) -> None:
        if (done.seed, done.epoch) == (0, 3):
            raise KeyboardInterrupt

    seen: list[tuple[int, int]] = []

    def fits(devices: int, progress: Progress, folder: Path | None = tmp_path) -> list[Fitted]:
        return fit_replicates(
            MODEL,
            panel,
            split,
            seeds=[0, 1, 2],
            train=training(max_epochs=6, devices=devices),
            folder=folder,
            progress=progress,
        )

    with pytest.raises(KeyboardInterrupt):
        fits(2, stop)
    resumed = fits(1, lambda done: seen.append((done.seed, done.epoch)))
    assert min(epoch for seed, epoch in seen if seed == 0) > 3
    assert [fitted.seed for fitted in resumed] == [0, 1, 2]
    for one, other in zip(resumed, fits(1, lambda _: None, None), strict=True):
        assert_same(one, other, panel, **SUMS)


class TestShares:
    """What each of several processes computes of a batch."""

    rows = torch.arange(7).unsqueeze(0)
    target = torch.arange(14.0).reshape(1, 7, 2)

    def test_one_process_computes_all(self) -> None:
        rows, target = Processes().share(self.rows, self.target)
        assert rows is self.rows
        assert target is self.target

    @pytest.mark.parametrize("count", [2, 3, 7, 9])
    def test_shares_are_of_one_size_and_every_sample_counts_once(self, count: int) -> None:
        shares = [
            Processes(rank=rank, count=count).share(self.rows, self.target) for rank in range(count)
        ]
        assert len({rows.shape for rows, _ in shares}) == 1
        rows, target = (torch.cat(parts, dim=1)[0] for parts in zip(*shares, strict=True))
        counts = ~target.isnan().all(dim=1)
        assert torch.equal(rows[counts], self.rows[0])
        assert torch.equal(target[counts], self.target[0])

    def test_the_dropout_of_a_step_has_a_seed_of_its_own(self) -> None:
        seeds = {
            Processes(rank=rank, count=2).seed_of_step(seed, epoch=epoch, step=step)
            for rank in (0, 1)
            for seed in (0, 1)
            for epoch in (0, 1)
            for step in (0, 1)
        }
        assert len(seeds) == 16
        torch.manual_seed(max(seeds))  # within the range of seeds


def test_the_number_of_devices_says_where_and_not_what() -> None:
    several = TrainConfig(devices=4)
    assert several != TrainConfig()
    assert several.numbers() == TrainConfig().numbers()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_two_gpus_give_the_losses_of_one(panel: Panel, split: Split, precision: str) -> None:
    train = training(device="cuda", precision=precision, max_epochs=3, learning_rate=1e-3)
    one, two = (fit(MODEL, panel, split, train=train | {"devices": n}) for n in (1, 2))
    tolerance = SUMS if precision == "32" else {"rtol": 0.05, "atol": 0.02}
    assert_same(two, one, panel, **tolerance)


def test_more_gpus_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SettingsError, match=r"devices = 4: torch finds 2 GPUs here; set devices"):
        choose_device(TrainConfig(devices=4))
