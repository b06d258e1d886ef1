"""Leaving at once, with everything finished kept, when asked to by Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


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

    A cluster's preemption sends SIGTERM. What a training has checkpointed is where it goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> NoReturn:
        raise Interrupted(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
