from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

import pytest

from crosstrait.experiments.interrupt import Interrupted, stopping_on_signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_block_with_the_exit_code_of_shells(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, stopping_on_signals():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


def test_a_failed_run_cannot_swallow_the_request_to_stop() -> None:
    assert not issubclass(Interrupted, Exception | KeyboardInterrupt)


def test_another_thread_leaves_the_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    inside = []

    def work() -> None:
        with stopping_on_signals():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]


def train(noted: list[int], *signals: int, seconds: float = 0, saves: bool = False) -> None:
    """Get ``signals`` in the manner of Lightning; note them, go on, and end after the step."""
    with stopping_on_signals():
        before = signal.getsignal(signal.SIGTERM)
        assert callable(before)

        def note(number: int, frame: FrameType | None) -> None:
            noted.append(number)
            before(number, frame)

        signal.signal(signal.SIGTERM, note)
        for number in signals:
            os.kill(os.getpid(), number)
        time.sleep(seconds)
        if saves:
            raise SystemExit(143)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_may_end_by_itself_with_a_checkpoint(number: int, code: int) -> None:
    noted: list[int] = []
    with pytest.raises(Interrupted) as caught:
        train(noted, number, saves=True)
    assert noted == [signal.SIGTERM]
    assert caught.value.exit_code == code
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_training_that_was_ending_when_it_was_asked_to_ends_the_block_too() -> None:
    with pytest.raises(Interrupted):
        train([], signal.SIGTERM)


def test_a_second_signal_waits_for_no_training() -> None:
    with pytest.raises(Interrupted) as caught:
        train([], signal.SIGINT, signal.SIGINT)
    assert caught.value.exit_code == 130


def test_a_training_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosstrait.experiments.interrupt._PATIENCE_SECONDS", 0.05)
    with pytest.raises(Interrupted):
        train([], signal.SIGTERM, seconds=5)


def test_an_exit_that_nobody_asked_for_stays_one() -> None:
    with pytest.raises(SystemExit, match="3"), stopping_on_signals():
        sys.exit(3)
