"""Which worker runs which job: one each, or several in a flood of short ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from defer_emulator.domain.jobs import Job
from defer_emulator.runner.fleet import Fleet
from defer_emulator.runner.pace import DEPTH, LANES, PATIENCE, Pace
from defer_emulator.runner.process import RunningJob, WorkerProcess
from defer_emulator.runner.timers import Timers


class Dispatcher:
    """Gives jobs to workers, and takes back what a worker has not begun.

    `prepare` makes what is given of a job and the mark of the worker that gets it, "" where no other job may
    follow at once; `on_begin` is told when a worker begins one.
    """

    def __init__(
        self,
        fleet: Fleet,
        pace: Pace,
        timers: Timers,
        loop: asyncio.AbstractEventLoop,
        *,
        prepare: Callable[[Job, str], RunningJob],
        on_begin: Callable[[WorkerProcess, RunningJob], None],
    ) -> None:
        self._fleet = fleet
        self._pace = pace
        self._timers = timers
        self._loop = loop
        self._prepare = prepare
        self._on_begin = on_begin
        self._workers: dict[int, WorkerProcess] = {}  # by the sequence of each of their jobs
        self._waiting: deque[Job] = deque()  # that no worker has
        self.is_paused = False  # nothing is given to anybody

    # --- how much -----------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many jobs can be started now."""
        if self.is_paused or self._waiting:
            return 0
        idle = self._fleet.idle
        if not self.is_flooded:
            return idle
        lanes = self._open_lanes()
        more = min(idle, max(0, LANES - len(lanes)))
        return max(idle, more * DEPTH + sum(DEPTH - 1 - len(worker.queued) for worker in lanes))

    @property
    def is_flooded(self) -> bool:
        return self._pace.is_flood(self._loop.time())

    @property
    def unbegun(self) -> set[int]:
        """The sequences of the jobs that no worker has."""
        return {job.sequence for job in self._waiting}

    def want(self, backlog: int) -> None:
        """So many jobs will be started as soon as there is room."""
        self._fleet.want(backlog + len(self._waiting))

    def ended(self, seconds: float) -> None:
        """A job has run for so long."""
        self._pace.ended(self._loop.time(), seconds)

    # --- giving -------------------------------------------------------------------------------

    def start(self, job: Job) -> None:
        """As soon as a worker takes it."""
        worker = self._next_worker()
        if worker is None:
            self._waiting.append(job)
        else:
            self._give(worker, job, worker.mark if self.is_flooded else "")

    def give_waiting(self) -> None:
        """Those that were taken back come first."""
        while self._waiting and self._fleet.idle and not self.is_paused:
            self._give(self._fleet.take(), self._waiting.popleft())
        if self._waiting:
            self._fleet.want(len(self._waiting))

    def begin_next(self, worker: WorkerProcess) -> None:
        """The worker has ended a job: it begins the next one, or is idle."""
        if not worker.queued:
            self._fleet.put_back(worker)
            return
        job = worker.running = worker.queued.popleft()
        job.begun = self._loop.time()
        self._on_begin(worker, job)

    def _next_worker(self) -> WorkerProcess | None:
        if self.is_flooded:
            lanes = self._open_lanes()
            if lanes and (len(lanes) >= LANES or not self._fleet.idle):
                return min(lanes, key=lambda worker: len(worker.queued))
        return self._fleet.take() if self._fleet.idle and not self.is_paused else None

    def _give(self, worker: WorkerProcess, job: Job, mark: str = "") -> None:
        try:
            worker.give(self._prepare(job, mark))
        except OSError:  # its queue is full
            self._waiting.append(job)
            if worker.running is None:  # it was idle: nothing can be given to it at all
                self._fleet.kill(worker)
            return
        self._workers[job.sequence] = worker
        if worker.running is None:
            self.begin_next(worker)
        else:
            self._timers.later(PATIENCE, self._look_at_lanes)

    def _open_lanes(self) -> list[WorkerProcess]:
        """The workers that can be given one job more."""
        current, now = self._fleet.current, self._loop.time()
        return [one for one in self._fleet.busy if one.generation is current and one.takes_more(now)]

    # --- taking back --------------------------------------------------------------------------

    def recall(self, worker: WorkerProcess, doomed: int | None = None) -> Job | None:
        """Take back what the worker has not begun. What it runs then, it will run to its end.

        The rest waits for another worker, and may have one when this returns: but for the job with the
        sequence `doomed`, which is returned.
        """
        found: Job | None = None
        for job in worker.take_back():
            job.stop_clock()
            del self._workers[job.job.sequence]
            if job.job.sequence == doomed:
                found = job.job
            else:
                self._waiting.append(job.job)
        worker.connection.drain()  # what ended before the rest was taken back
        if worker.running is None and worker.state == "busy":
            self._fleet.put_back(worker)
        return found

    def withdraw(self, sequence: int) -> Job | None:
        """Make sure that a job which has not begun never will; None: it has begun, or is over."""
        worker = self._workers.get(sequence)
        if worker is not None:
            return self.recall(worker, doomed=sequence) if worker.queued else None
        for job in self._waiting:
            if job.sequence == sequence:
                self._waiting.remove(job)
                return job
        return None

    def running(self, sequence: int) -> tuple[WorkerProcess, RunningJob] | None:
        """A job that has begun, as far as has been heard, and its worker."""
        worker = self._workers.get(sequence)
        job = None if worker is None else worker.running
        if worker is None or job is None or job.job.sequence != sequence:
            return None
        return worker, job

    def release(self, worker: WorkerProcess) -> None:
        """What it runs is over."""
        if worker.running is not None:
            del self._workers[worker.running.job.sequence]
            worker.running = None

    def close(self) -> None:
        """All workers are gone."""
        for worker in self._fleet.busy:
            self.recall(worker)
            if worker.running is not None:
                worker.running.stop_clock()

    def _look_at_lanes(self) -> None:
        """Jobs behind one that takes long are for other workers."""
        for worker in self._fleet.busy:
            if worker.queued:
                worker.connection.drain()  # what has ended need not be asked
            job = worker.running
            if job is not None and worker.queued and self._loop.time() - job.begun >= PATIENCE:
                self._pace.slow_down()
                self.recall(worker)
        if any(worker.queued for worker in self._fleet.busy):
            self._timers.later(PATIENCE, self._look_at_lanes)
        self.give_waiting()
