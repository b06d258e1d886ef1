from __future__ import annotations

import os
import signal
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


def train() -> list[int]:
    """Put a handler before that of the block, as Lightning does; return what it takes note of."""
    noted: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    assert callable(before)

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        before(number, frame)

    signal.signal(signal.SIGTERM, note)
    return noted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_may_end_by_itself_with_a_checkpoint(number: int, code: int) -> None:
    with pytest.raises(Interrupted) as caught, stopping_on_signals():
        noted = train()
        os.kill(os.getpid(), number)
        assert noted == [signal.SIGTERM]
        raise SystemExit(143)
    assert caught.value.exit_code == code
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_second_signal_waits_for_no_training() -> None:
    with pytest.raises(Interrupted) as caught, stopping_on_signals():
        train()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")
    assert caught.value.exit_code == 130


def test_a_training_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosstrait.experiments.interrupt._PATIENCE_SECONDS", 0.05)
    with pytest.raises(Interrupted), stopping_on_signals():
        train()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        pytest.fail("was not left")


def test_an_exit_that_nobody_asked_for_stays_one() -> None:
    with pytest.raises(SystemExit), stopping_on_signals():
        raise SystemExit(3)
