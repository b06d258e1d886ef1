from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from crosstrait.experiments.engine import Outcome
from crosstrait.experiments.plan import Group, Run
from crosstrait.experiments.watch import Watch
from crosstrait.models.registry import config_class
from crosstrait.training.config import TrainConfig
from crosstrait.training.progress import EpochDone


def a_group(number: int, *, label: str = "canonical", replicates: int = 1) -> Group:
    runs = [
        Run(
            label=label,
            config=config_class("ridge")(),
            train=TrainConfig(),
            traits=("a",),
            prune_r=None,
            fold=number,
            replicate=replicate,
            seed=replicate,
            key=f"{number:032x}{replicate:032x}",
            parts={},
        )
        for replicate in range(replicates)
    ]
    return Group(tuple(runs))


def an_epoch(epoch: int) -> EpochDone:
    values = dict.fromkeys(("train_loss", "val_loss", "val_r2", "learning_rate", "seconds"), 0.5)
    return EpochDone(seed=0, member="all", epoch=epoch, n_epochs=10, **values)


@pytest.fixture
def groups() -> list[Group]:
    return [a_group(0, replicates=2), a_group(1), a_group(2, label="ridge")]


def test_every_ended_group_and_every_failure_is_a_line(groups: list[Group]) -> None:
    text = io.StringIO()
    console = Console(file=text, width=60)
    with Watch(n_runs=5, n_done=1, groups=groups, console=console) as watch:
        watch.started(groups[0])
        watch.ended(Outcome(group=groups[0], status="finished", seconds=4.0))
        watch.ended(Outcome(group=groups[1], status="busy"))
        failed = Outcome(
            group=groups[2],
            status="failed",
            lost=groups[2].runs,
            message="the loss [of it] is nan",
            log=Path("logs/ridge.log"),
        )
        watch.ended(failed)
    assert text.getvalue().splitlines() == [
        "finished  canonical replicate 0-1 fold 0  4.0 s  3 of 5",
        "failed  ridge replicate 0 fold 2: the loss [of it] is nan (log: logs/ridge.log)",
    ]
    assert (watch.n_done, watch.n_failed) == (3, 1)
    assert list(watch.left) == [groups[1].name]


def test_the_time_left_is_that_of_runs_of_the_same_model(groups: list[Group]) -> None:
    watch = Watch(n_runs=4, n_done=0, groups=groups, console=Console(quiet=True))
    assert watch.seconds_left() is None
    watch.ended(Outcome(group=groups[0], status="finished", seconds=8.0))
    # One run of canonical like the two before, and one of ridge, of which nothing is known.
    assert watch.seconds_left() == pytest.approx(4.0 + 4.0)
    watch.ended(Outcome(group=groups[2], status="finished", seconds=0.5))
    assert watch.seconds_left() == pytest.approx(4.0)


def test_the_time_left_of_a_training_follows_its_epochs(
    groups: list[Group], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    watch = Watch(n_runs=1, n_done=0, groups=groups[1:2], console=Console(quiet=True))
    watch.started(groups[1])
    now[0] += 6.0
    watch.epoch(groups[1], an_epoch(3))
    assert watch.seconds_left() == pytest.approx(14.0)


def test_a_terminal_shows_bars(groups: list[Group]) -> None:
    text = io.StringIO()
    console = Console(file=text, width=120, force_terminal=True)
    with Watch(n_runs=4, n_done=0, groups=groups, console=console) as watch:
        watch.started(groups[0])
        watch.epoch(groups[0], an_epoch(3))
    assert "1 running, 0 failed, 4 left" in text.getvalue()
    assert "epoch 3/10" in text.getvalue()
