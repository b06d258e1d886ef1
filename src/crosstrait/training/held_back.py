"""Work that a signal must not cut in two."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_held_back(*numbers: int) -> Iterator[None]:
    """Hear signals, those that stop a process where none are named, at the end of the block only.

    Processes that are started in the block hear none of them.
    """
    held = numbers or (signal.SIGINT, signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
