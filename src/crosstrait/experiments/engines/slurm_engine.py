"""The engine on a Slurm cluster: one array of jobs, which work in the experiment's own folder.

Driver and nodes share a file system, so that a job works straight in the cache of runs, under the
same locks as every other engine, and what is left to say goes through files; see `SlurmFolder`.
A driver that finds jobs of one that was killed waits for them, as it does for those of one that is
alive. Importing this module does not import submitit.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crosstrait.errors import StorageError
from crosstrait.experiments.engines.engine import Listener, Outcome, Task, missing_of
from crosstrait.experiments.engines.slurm_cluster import Cluster
from crosstrait.experiments.engines.slurm_drivers import Drivers
from crosstrait.experiments.engines.slurm_folder import SlurmFolder, Submission
from crosstrait.experiments.engines.slurm_job import SlurmJob
from crosstrait.experiments.resolve import n_gpus
from crosstrait.experiments.run import Workplace
from crosstrait.training.held_back import signals_held_back

_LOOK_SECONDS = 1.0
_ASK_SECONDS = 10.0
_MOST_SUBMISSIONS = 3
# Slurm's MaxArraySize is 1001 unless it is configured otherwise.
_MOST_IN_ARRAY = 1000

_ALIVE = {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "REQUEUED", "RESIZING", "STOPPED"}
_ENDING = {"COMPLETING", "SIGNALING", "STAGE_OUT", "REQUEUE_HOLD", "SPECIAL_EXIT"}
# Another job would end alike.
_HOPELESS = {
    "CANCELLED": "it was cancelled",
    "DEADLINE": "it could not end before its deadline",
    "OUT_OF_MEMORY": "it ran out of memory; raise [slurm] memory_gb",
    "TIMEOUT": "it ran out of time; raise [slurm] minutes",
}


@dataclass(frozen=True, kw_only=True)
class SlurmEngine:
    """Carries out tasks as jobs of a cluster.

    Attributes
    ----------
    cluster
        What runs the jobs.
    workers
        Most jobs of an array at once; None: as many as the cluster has room for. Tasks that want
        a GPU are an array of their own where the cluster is to give GPUs.
    threads
        CPUs and threads of a training. Fixed, as nodes differ.
    ask_seconds
        Time between two looks at the states of the jobs, which cost Slurm something.
    """

    cluster: Cluster
    workers: int | None = None
    threads: int = 1
    ask_seconds: float = _ASK_SECONDS

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it is known.

        When left early, the jobs that no other driver waits for are cancelled.
        """
        if groups:
            yield from _Pass(self, at=at, listener=listener, wait=wait).carry_out(groups)


@dataclass(kw_only=True)
class _Running:
    """A task with the job that carries it out."""

    task: Task
    submission: Submission
    begun: bool = False
    seen_ended: bool = False


class _Pass:
    """One pass over tasks."""

    def __init__(
        self, engine: SlurmEngine, *, at: Workplace, listener: Listener, wait: bool
    ) -> None:
        self.engine = engine
        self.at = at
        self.listener = listener
        self.wait = wait
        self.folder = SlurmFolder(at.cache.folder)
        self.drivers = Drivers(self.folder.drivers)
        self.waiting: list[Task] = []
        self.held: list[Task] = []  # another process works on them
        self.running: list[_Running] = []
        self.losses: Counter[str] = Counter()
        self.asked = 0.0

    def carry_out(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield the outcome of every task."""
        try:
            with self.drivers.alone():
                rest = self._take_over(tasks)
            for task in rest:
                yield from self._sort(task)
            while self.waiting or self.held or self.running:
                if not self.running or len(self.running) + len(self.waiting) <= _MOST_IN_ARRAY:
                    self._submit(self.waiting[:_MOST_IN_ARRAY])
                yield from self._collect()
                if time.monotonic() - self.asked >= self.engine.ask_seconds:
                    yield from self._ask()
                    self.asked = time.monotonic()
                if self.running or self.held:
                    time.sleep(min(_LOOK_SECONDS, self.engine.ask_seconds))
        finally:
            with signals_held_back():
                self._leave()

    def _leave(self) -> None:
        """Cancel the jobs that nobody waits for any longer."""
        try:
            with self.drivers.alone():
                self._cancel(all_but=self.drivers.leave())
        except StorageError:  # a folder that can no longer be written leaves no job behind
            self._cancel(all_but=set())

    def _cancel(self, *, all_but: set[str]) -> None:
        ours = [one for one in self.running if one.submission.ticket not in all_but]
        # Jobs that could not be cancelled stay noted, for the next driver to take over.
        if ours and self.engine.cluster.cancel([one.submission.job for one in ours]):
            for one in ours:
                self.folder.forget(one.task, one.submission)

    def _take_over(self, tasks: Sequence[Task]) -> list[Task]:
        """Wait for the jobs that other drivers submitted; return the tasks that have none."""
        noted = {task.name: one for task in tasks if (one := self.folder.noted(task))}
        if not noted:
            return list(tasks)
        states = self.engine.cluster.states([one.job for one in noted.values()])
        settled, others = self.folder.settled(), self.drivers.others()
        rest, taken = [], []
        for task in tasks:
            submission = noted.get(task.name)
            if submission is None:
                rest.append(task)
            elif submission.ticket not in settled and (
                states is None or states.get(submission.job) in _ALIVE
            ):
                taken.append(_Running(task=task, submission=submission))
            else:  # what became of it was to be told to a driver that is gone
                if submission.ticket not in others:
                    self.folder.forget(task, submission)
                rest.append(task)
        self.running += taken
        self.drivers.wait_for(one.submission.ticket for one in taken)
        return rest

    def _sort(self, task: Task) -> Iterator[Outcome]:
        """Put a task where it belongs, or yield its outcome where it is settled."""
        with self.at.cache.locked(task.locks, wait=False) as free:
            done = free and missing_of(task, at=self.at) is None
        if done:
            yield Outcome(group=task, status="cached")
        elif free:
            self.waiting.append(task)
        elif self.wait:
            self.held.append(task)
        else:
            yield Outcome(group=task, status="busy")

    def _submit(self, tasks: Sequence[Task]) -> None:
        """Submit the first of the waiting tasks."""
        if not tasks:
            return
        data = self.folder.data(self.at)
        del self.waiting[: len(tasks)]
        with self.drivers.alone():
            # Another driver may have submitted some since they were sorted.
            tasks = self._take_over(tasks)
            wanted = {task.name: n_gpus(task.first.config, task.first.train) for task in tasks}
            for gpus in sorted(set(wanted.values()), reverse=True):
                those = [task for task in tasks if wanted[task.name] == gpus]
                self._submit_array(those, gpus=gpus, data=data)

    def _submit_array(
        self, tasks: Sequence[Task], *, gpus: int, data: Mapping[str, object]
    ) -> None:
        jobs = []
        for task in tasks:
            ticket = f"{task.name}-{secrets.token_hex(4)}"
            self.folder.describe(task, ticket=ticket, data=data)
            jobs.append(
                SlurmJob(runs=str(self.folder.runs), ticket=ticket, threads=self.engine.threads)
            )
        # Between its submission and its note a job has nobody who would cancel it.
        with signals_held_back():
            numbers = self.engine.cluster.submit(
                jobs, folder=self.folder.jobs, at_once=self.engine.workers, gpus=gpus
            )
            submitted = [
                _Running(task=task, submission=Submission(job=number, ticket=job.ticket))
                for task, number, job in zip(tasks, numbers, jobs, strict=True)
            ]
            self.running += submitted
            self.drivers.wait_for(one.submission.ticket for one in submitted)
            for one in submitted:
                self.folder.note(one.task, one.submission)

    def _collect(self) -> Iterator[Outcome]:
        """Hear what jobs have told."""
        settled, begun = self.folder.settled(), self.folder.begun()
        for one in list(self.running):
            if one.submission.ticket in settled:
                outcome = self.folder.outcome(one.task, one.submission)
                if outcome is not None:
                    yield from self._end(one, outcome)
            elif one.task.name in begun:
                self._begin(one)
                for done in self.folder.told(one.task):
                    self.listener.epoch(one.task, done)

    def _ask(self) -> Iterator[Outcome]:
        """Ask for the states of the jobs, and whether others are done with what they held."""
        if self.running:
            states = self.engine.cluster.states([one.submission.job for one in self.running])
            settled = self.folder.settled()
            for one in [] if states is None else list(self.running):
                assert states is not None
                state = states.get(one.submission.job, "no longer known to Slurm")
                if state == "RUNNING":
                    self._begin(one)
                if state in _ALIVE | _ENDING or one.submission.ticket in settled:
                    one.seen_ended = False
                elif one.seen_ended:  # twice, as a shared file may take seconds to be seen
                    yield from self._lose(one, state)
                else:
                    one.seen_ended = True
        held, self.held = self.held, []
        for task in held:
            yield from self._sort(task)

    def _begin(self, one: _Running) -> None:
        if not one.begun:
            one.begun = True
            self.listener.started(one.task)

    def _end(self, one: _Running, outcome: Outcome) -> Iterator[Outcome]:
        self._let_go(one)
        if outcome.status == "busy" and self.wait:
            self.held.append(one.task)
        else:
            yield outcome

    def _let_go(self, one: _Running) -> None:
        """Wait for a submission no longer; the last who does deletes what was written for it."""
        self.running.remove(one)
        if one.submission.ticket not in self.drivers.drop(one.submission.ticket):
            self.folder.forget(one.task, one.submission)

    def _lose(self, one: _Running, state: str) -> Iterator[Outcome]:
        """Submit the task of a job that is lost again, unless that is hopeless."""
        job, task = one.submission.job, one.task
        self._let_go(one)
        self.losses[task.name] += 1
        if state not in _HOPELESS and self.losses[task.name] < _MOST_SUBMISSIONS:
            yield from self._sort(task)
            return
        with self.at.cache.locked(task.locks, wait=False) as free:
            left = missing_of(task, at=self.at) if free else task
        if left is None:
            yield Outcome(group=task, status="cached")
            return
        why = _HOPELESS.get(state, f"{state}, {self.losses[task.name]} times")
        yield Outcome(
            group=task,
            status="failed",
            lost=left.runs,
            message=f"its Slurm job {job} was lost: {why}",
            log=self.folder.log(job),
        )
