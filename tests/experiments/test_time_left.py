from __future__ import annotations

from collections.abc import Callable

import pytest

from crosstrait.experiments.engines.engine import Outcome
from crosstrait.experiments.plan import Group
from crosstrait.experiments.time_left import Estimate, TimeLeft
from support.groups import a_group, an_epoch

Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Let time pass, which else stands still."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


@pytest.fixture
def groups() -> list[Group]:
    return [a_group(0, replicates=2), a_group(1), a_group(2, label="ridge")]


def seconds(left: TimeLeft) -> float:
    estimate = left.estimate()
    assert estimate is not None
    return estimate.seconds


def finished(group: Group, took: float) -> Outcome:
    return Outcome(group=group, status="finished", seconds=took)


def test_the_time_left_is_that_of_runs_of_the_same_model(groups: list[Group]) -> None:
    left = TimeLeft(groups)
    assert left.estimate() is None
    left.ended(finished(groups[0], 8.0))
    # One run of canonical like the two before; of ridge nothing is known.
    assert left.estimate() == Estimate(seconds=4.0, at_least=True)
    left.ended(finished(groups[2], 0.5))
    assert left.estimate() == Estimate(seconds=4.0)
    left.ended(finished(groups[1], 4.0))
    assert left.estimate() == Estimate(seconds=0.0)


def test_runs_of_before_tell_and_those_found_finished_do_not(groups: list[Group]) -> None:
    left = TimeLeft(groups, known={"canonical": [10.0, 20.0], "ridge": [1.0]})
    assert left.estimate() == Estimate(seconds=3 * 15.0 + 1.0)
    left.ended(Outcome(group=groups[0], status="cached", seconds=0.01))
    assert left.estimate() == Estimate(seconds=15.0 + 1.0)


def test_a_training_tells_by_its_epochs(groups: list[Group], wait: Wait) -> None:
    left = TimeLeft(groups[1:2])
    left.started(groups[1])
    wait(6.0)
    assert left.estimate() is None
    left.epoch(groups[1], an_epoch(3, seconds=5.5))  # the rest was spent on loading
    assert seconds(left) == pytest.approx(14.0)
    wait(5.0)
    assert seconds(left) == pytest.approx(9.0)
    wait(50.0)
    assert seconds(left) == 0.0


def test_a_training_that_goes_on_tells_by_all_its_time(groups: list[Group], wait: Wait) -> None:
    left = TimeLeft(groups[1:2])
    left.started(groups[1])
    wait(3.0)
    left.epoch(groups[1], an_epoch(6, seconds=51.0))  # of which three were now
    assert seconds(left) == pytest.approx(51.0 * 4 / 6)


def test_a_training_whose_worker_died_begins_anew(groups: list[Group], wait: Wait) -> None:
    left = TimeLeft(groups[1:2])
    left.started(groups[1])
    wait(10.0)
    left.epoch(groups[1], an_epoch(9, seconds=10.0))
    left.started(groups[1])
    assert left.share(groups[1]) == 0.0
    assert left.estimate() is None


def test_networks_that_have_not_begun_count(wait: Wait) -> None:
    group = a_group(0, replicates=2, traits=("a", "b", "c"), scope="single")
    left = TimeLeft([group])
    left.started(group)
    wait(2.0)
    left.epoch(group, an_epoch(10, member="a", seconds=2.0))  # the first of six, and done
    assert left.share(group) == pytest.approx(1 / 6)
    assert seconds(left) == pytest.approx(10.0)


def test_workers_share_what_is_left_and_the_last_to_end_decides(wait: Wait) -> None:
    groups = [a_group(i) for i in range(5)]
    left = TimeLeft(groups, known={"canonical": [8.0]})
    assert seconds(left) == pytest.approx(40.0)
    left.started(groups[0])
    left.started(groups[1])
    assert seconds(left) == pytest.approx(24.0)  # two, two and one after them
    wait(2.0)
    left.epoch(groups[0], an_epoch(1, seconds=2.0))  # 18 seconds are left of it, of the other 6
    assert seconds(left) == pytest.approx(26.0)  # the other worker takes two, the first one more
    for group, took in ((groups[1], 8.0), (groups[2], 8.0), (groups[3], 8.0), (groups[4], 8.0)):
        left.ended(finished(group, took))
    assert seconds(left) == pytest.approx(18.0)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(seconds=4.4), "about 4 s to go"),
        (Estimate(seconds=92), "about 1 min 32 s to go"),
        (Estimate(seconds=3 * 3600 + 300, at_least=True), "at least 3 h 05 min to go"),
    ],
)
def test_an_estimate_is_told_in_words(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text
