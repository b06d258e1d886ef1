"""The engine of one machine: this process, or several."""

from __future__ import annotations

import multiprocessing
import os
import platform
import shutil
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines.engine import Engine, Listener, Outcome, Task, carry_out
from crosstrait.experiments.engines.epochs import EpochFile, read_epochs
from crosstrait.experiments.engines.handover import hand_over, take_over
from crosstrait.experiments.engines.processors import (
    Share,
    limited_threads,
    share_out,
    take,
    visible_gpus,
)
from crosstrait.experiments.interrupt import Interrupted, stopping_on_signals
from crosstrait.experiments.provenance import cores, memory_bytes, usable_cores
from crosstrait.experiments.run import Workplace
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split
from crosstrait.training.held_back import signals_held_back

_MOST_DEATHS = 3
_LOOK_SECONDS = 1.0
_STOP_SECONDS = 15.0
_WORTH_A_WORD = 2  # cores
_PANEL = f"panel-{platform.node()}-"


@dataclass(frozen=True)
class InProcess:
    """Trains one group after another in this process, with ``threads`` threads."""

    threads: int = 1

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every group, in order."""
        for group in groups:
            with limited_threads(self.threads):
                outcome = carry_out(group, at=at, listener=listener, wait=wait)
            yield outcome


@dataclass(frozen=True)
class Local:
    """Trains on this machine, in as many processes as it can afford where ``workers`` is None.

    What it can afford is looked at when there is something to train: it takes a second.
    """

    workers: int | None = None
    threads: int = 1

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every group as it is known."""
        if not groups:
            return
        workers = self.workers or self._affordable(at.panel, groups)
        engine: Engine = InProcess(self.threads)
        if workers > 1:
            engine = ProcessPool(workers, self.threads)
        yield from engine.run(groups, at=at, listener=listener, wait=wait)

    def _affordable(self, panel: Panel, groups: Sequence[Task]) -> int:
        devices = most_devices(groups)
        workers = affordable_workers(
            panel, n_groups=len(groups), threads=self.threads, devices=devices
        )
        used = workers * self.threads * devices
        if used <= cores() // 2 >= _WORTH_A_WORD and not visible_gpus():
            warnings.warn(
                f"{used} of {cores()} cores are used; [train] threads = {cores() // workers} uses "
                f"all, with other last digits than threads = {self.threads} gives",
                stacklevel=2,
            )
        return workers


@dataclass
class ProcessPool:
    """Trains groups in ``workers`` processes, which share cores and GPUs evenly.

    Each has as many GPUs as the training that uses most.

    A worker that dies (killed, out of memory) is replaced and its group goes on from its
    checkpoint; a group whose workers died three times has failed.
    """

    workers: int
    threads: int = 1
    _deaths: dict[str, int] = field(default_factory=dict)

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every group as it is known."""
        if not groups:
            return
        _drop_panels_of_the_dead(at.cache.folder / ".work")
        shared = at.cache.folder / ".work" / f"{_PANEL}{os.getpid()}"
        try:
            hand_over(at.panel, folder=shared)
            for fold, split in enumerate(at.splits):
                split.save(shared / f"fold-{fold}.json")
            shares = share_out(
                workers=self.workers,
                threads=self.threads,
                cores=usable_cores(),
                gpus=visible_gpus(),
                devices=most_devices(groups),
            )
            waiting = deque(groups)
            while waiting:
                yield from self._until_death(waiting, shared, at, listener, shares, wait=wait)
        finally:
            shutil.rmtree(shared, ignore_errors=True)

    def _until_death(
        self,
        waiting: deque[Task],
        shared: Path,
        at: Workplace,
        listener: Listener,
        shares: Sequence[Share],
        *,
        wait: bool,
    ) -> Iterator[Outcome]:
        """Work through ``waiting``; return early, with the rest in it, when a worker dies."""
        running: dict[Future[Outcome], Task] = {}
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(
            min(self.workers, len(waiting)),
            mp_context=context,
            initializer=_start_worker,
            initargs=(shared, at.cache.folder, len(at.splits), shares, context.Value("i", 0)),
        )
        try:
            while waiting or running:
                while waiting and self._may_start(waiting[0], running):
                    group = waiting.popleft()
                    listener.started(group)
                    # Workers that it starts are out of reach of a terminal's Ctrl-C: the parent
                    # decides what it means.
                    with signals_held_back(signal.SIGINT):
                        running[pool.submit(_work, group, shared, wait)] = group
                for future in _first_done(running):
                    group = running.pop(future)
                    yield future.result()
                for group in running.values():
                    for done in read_epochs(shared, group):
                        listener.epoch(group, done)
        except BrokenProcessPool:
            dead = [group, *running.values()]
            yield from self._blame(dead, waiting)
        except BaseException:
            _stop(pool)
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _may_start(self, group: Task, running: Mapping[Future[Outcome], Task]) -> bool:
        """Whether a worker is free; a group under suspicion runs alone, to spare its neighbours."""
        suspects = any(other.name in self._deaths for other in (group, *running.values()))
        return not running if suspects else len(running) < self.workers

    def _blame(self, groups: list[Task], waiting: deque[Task]) -> Iterator[Outcome]:
        """Put back the groups that were running when a worker died; which one is not known."""
        for group in groups:
            deaths = self._deaths[group.name] = self._deaths.get(group.name, 0) + 1
            if deaths < _MOST_DEATHS:
                waiting.append(group)
            else:
                message = f"{deaths} workers that trained it were killed; is there enough memory?"
                yield Outcome(group=group, status="failed", lost=group.runs, message=message)


def most_devices(groups: Sequence[Task]) -> int:
    """Return how many devices the training uses that uses most."""
    return max(group.first.train.devices for group in groups)


def affordable_workers(panel: Panel, *, n_groups: int, threads: int = 1, devices: int = 1) -> int:
    """Return how many workers are worth starting: by cores, GPUs, groups of runs and memory.

    One for ``devices`` GPUs where there are GPUs, and no more than whose coded copies of the
    genotypes fit into half of the memory.
    """
    # Coded genotypes as float32, once more while they are made; and a process with torch.
    needed = 2 * 4 * panel["call_dosage"].size + (1 << 30)
    affordable = int(memory_bytes() // 2 // needed)
    gpus = len(visible_gpus())
    most = gpus // devices if gpus else cores() // max(threads, devices)
    return max(1, min(most, n_groups, affordable))


_AT: Workplace | None = None


def _start_worker(
    shared: Path, runs: Path, n_splits: int, shares: Sequence[Share], started: Synchronized[int]
) -> None:
    global _AT
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with started.get_lock():
        number = started.value
        started.value += 1
    take(shares[number])
    splits = tuple(Split.load(shared / f"fold-{fold}.json") for fold in range(n_splits))
    _AT = Workplace(panel=take_over(shared), splits=splits, cache=RunCache(runs))


def _work(group: Task, shared: Path, wait: bool) -> Outcome:
    assert _AT is not None
    try:
        with stopping_on_signals():
            return carry_out(group, at=_AT, listener=EpochFile(shared), wait=wait)
    except Interrupted as asked:
        # Passed on it would end the driver; as a death of this worker, the group goes on in
        # another one. A worker that lived on could wait for ever for a lock of a dead one.
        os._exit(asked.exit_code)


def _drop_panels_of_the_dead(folder: Path) -> None:
    for path in folder.glob(f"{_PANEL}*"):
        try:
            os.kill(int(path.name.removeprefix(_PANEL)), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (ValueError, OSError):
            continue


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _first_done(running: dict[Future[Outcome], Task]) -> list[Future[Outcome]]:
    return list(wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers, which first save what they train."""
    workers = list(pool._processes.values())
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + _STOP_SECONDS
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
        worker.kill()
