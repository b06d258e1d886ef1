from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from crosstrait.experiments.engines.engine import Outcome
from crosstrait.experiments.plan import Group
from crosstrait.experiments.watch import Watch
from support.groups import a_group, an_epoch


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
        "finished  canonical replicate 0-1 fold 0  4.0 s  3 of 5, at least 2 s to go",
        "failed  ridge replicate 0 fold 2: the loss [of it] is nan (log: logs/ridge.log)",
    ]
    assert (watch.n_done, watch.n_failed) == (3, 1)
    assert list(watch.time_left.left) == [groups[1].name]


def test_a_terminal_shows_bars(groups: list[Group]) -> None:
    text = io.StringIO()
    console = Console(file=text, width=120, force_terminal=True)
    with Watch(n_runs=4, n_done=0, groups=groups, console=console) as watch:
        watch.started(groups[0])
        watch.epoch(groups[0], an_epoch(3))
    assert "0 done, 2 running, 0 failed, 2 to come" in text.getvalue()
    assert "epoch 3/10" in text.getvalue()


def test_a_terminal_tells_the_time_left_from_runs_of_before(groups: list[Group]) -> None:
    text = io.StringIO()
    console = Console(file=text, width=160, force_terminal=True)
    known = {"canonical": [30.0], "ridge": [1.0, 3.0]}
    with Watch(n_runs=14, n_done=10, groups=groups, console=console, known=known) as watch:
        watch.started(groups[0])
    assert "10 done, 2 running, 0 failed, 2 to come, about 1 min 32 s to go" in text.getvalue()


def test_lines_count_failures_too(groups: list[Group]) -> None:
    text = io.StringIO()
    with Watch(n_runs=4, n_done=0, groups=groups, console=Console(file=text)) as watch:
        watch.ended(
            Outcome(group=groups[0], status="failed", lost=groups[0].runs[1:], message="no")
        )
        watch.ended(Outcome(group=groups[1], status="finished", seconds=1.0))
        watch.ended(Outcome(group=groups[2], status="cached", seconds=0.1))
    assert text.getvalue().splitlines() == [
        "failed  canonical replicate 1 fold 0: no",
        "finished  canonical replicate 0 fold 1  1.0 s  2 of 4, 1 failed",
        "cached  ridge replicate 0 fold 2  0.1 s  3 of 4, 1 failed",
    ]
