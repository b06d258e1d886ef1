"""Tasks given out to machines that share no disk with this one, and their replies taken in.

What is done, waited for, locked and published is decided here, once; `Machines` only start tasks.
"""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from crosstrait.experiments.engines.engine import Listener, Outcome, Task, missing_of
from crosstrait.experiments.engines.reply import Reply, receive, write_log
from crosstrait.experiments.run import Workplace
from crosstrait.training.progress import EpochDone

MOST_IN_FLIGHT = 128
_LOOK_SECONDS = 0.5

# What was asked for, what is missing of it, and its locks.
_InFlight = dict[Future[Reply], tuple[Task, Task, ExitStack]]


class Machines(Protocol):
    """Machines elsewhere, and the data of the experiment with them.

    Attributes
    ----------
    unit
        What they call a running task, for messages.
    """

    unit: str

    def submit(self, task: Task) -> Future[Reply]:
        """Start `remote.carry_out_remotely` of ``task``; an exception means that it was lost."""

    def told(self) -> list[tuple[str, EpochDone]]:
        """Return epochs of running tasks, by the tasks' names, that were not returned before."""

    def forget(self, task: Task) -> None:
        """Delete what was stored of ``task``, which has ended."""


def dispatch(
    groups: Sequence[Task],
    machines: Machines,
    *,
    at: Workplace,
    listener: Listener,
    wait: bool,
    most: int | None,
) -> Iterator[Outcome]:
    """Yield the outcome of every task, carried out by ``machines``, as it is known.

    Parameters
    ----------
    groups, at, listener, wait
        As for `engine.Engine.run`.
    machines
        Who carries them out.
    most
        How many tasks at once; None: `MOST_IN_FLIGHT`. They may be fewer, as each holds the locks
        of its runs, which are open files.
    """
    waiting = deque(groups)
    running: _InFlight = {}
    with ExitStack() as every_lock:
        while waiting or running:
            while waiting and _has_room(running, waiting[0], most=most or MOST_IN_FLIGHT):
                task = waiting.popleft()
                locks = every_lock.enter_context(ExitStack())
                # Waits with empty hands alone: two processes that each hold what the other one
                # waits for would wait for ever, and what has ended here would not be taken in.
                missing = _claim(task, locks, at=at, wait=wait and not running)
                if isinstance(missing, Outcome):
                    if wait and missing.status == "busy":
                        waiting.append(task)
                        break
                    yield missing
                    continue
                listener.started(task)
                running[machines.submit(missing)] = task, missing, locks
            for future in _first_done(running):
                task, missing, locks = running.pop(future)
                outcome = _take_in(future, task, missing, machines, at=at)
                locks.close()
                yield outcome
            by_name = {missing.name: task for task, missing, _ in running.values()}
            for name, epoch in machines.told():
                if name in by_name:
                    listener.epoch(by_name[name], epoch)


def _has_room(running: _InFlight, task: Task, *, most: int) -> bool:
    """Whether ``task`` may start: its locks, and those that are held, are open files."""
    if not running:
        return True
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_locks = len(task.locks) + sum(len(other.locks) for other, _, _ in running.values())
    if files != resource.RLIM_INFINITY and n_locks > files // 2:
        return False
    return len(running) < min(most, MOST_IN_FLIGHT)


def _claim(task: Task, locks: ExitStack, *, at: Workplace, wait: bool) -> Task | Outcome:
    """Lock a task and return what is missing of it, or its outcome where it is settled."""
    if not locks.enter_context(at.cache.locked(task.locks, wait=wait)):
        return Outcome(group=task, status="busy")
    missing = missing_of(task, at=at)
    if missing is None:
        locks.close()
        return Outcome(group=task, status="cached")
    return missing


def _first_done(running: _InFlight) -> list[Future[Reply]]:
    done, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
    return list(done)


def _take_in(
    future: Future[Reply], task: Task, missing: Task, machines: Machines, *, at: Workplace
) -> Outcome:
    """Write what a task sent back, or say that nothing came; what it had stored stays then."""
    try:
        reply = future.result()
    except Exception as error:
        cause = getattr(error, "cause", None) or error  # Ray tells it with its whole traceback
        story = " ".join(f"{type(cause).__name__}: {cause}".split())
        return Outcome(
            group=task,
            status="failed",
            lost=missing.runs,
            message=f"its {machines.unit} was lost: {story}",
            log=write_log(task, str(error), at=at),
        )
    outcome = receive(reply, task=missing, at=at)
    machines.forget(missing)
    return replace(outcome, group=task)
