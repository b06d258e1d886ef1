"""Leaving at once, with everything finished kept, when asked to by Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Of those that preempt, Slurm is the most impatient: it kills 30 s after it asked.
_PATIENCE_SECONDS = 10.0


class Interrupted(BaseException):
    """Someone asked this process to stop.

    Not a KeyboardInterrupt, which Lightning answers by ending the process itself, and not an
    Exception, which would count as a failed run.

    Attributes
    ----------
    exit_code
        What a shell expects: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Interrupted` in the main thread on SIGINT and SIGTERM while the block runs.

    A cluster's preemption sends SIGTERM. A network that is in training first saves its state
    between two steps, for which there are ten seconds; a second signal ends them. If the block
    ends by itself meanwhile, `Interrupted` is raised after it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stop.insist)
    try:
        yield
    except SystemExit:  # how a network leaves that has saved its state
        if stop.asked is None:
            raise
        raise Interrupted(stop.asked) from None
    else:
        if stop.asked is not None:
            raise Interrupted(stop.asked)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stop:
    """A signal handler.

    Attributes
    ----------
    asked
        The signal that asked this process to stop, if one has.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._telling = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        if self._telling:
            return
        handler = signal.getsignal(signal.SIGTERM)
        again, self.asked = self.asked is not None, self.asked or number
        # While it trains, Lightning has put a handler of its own before this one: it only takes
        # note of SIGTERM, for the training to look at after each step.
        if again or handler is self or not callable(handler):
            raise Interrupted(self.asked)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS)
        if number != signal.SIGTERM:
            self._telling = True
            signal.raise_signal(signal.SIGTERM)
            self._telling = False

    def insist(self, *_: object) -> None:
        """Wait no longer."""
        raise Interrupted(self.asked or signal.SIGTERM)
