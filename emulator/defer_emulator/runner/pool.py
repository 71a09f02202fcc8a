"""The pool: worker processes, started as they are needed, each with one attempt at a time.

In a flood of short jobs a worker is given several, and runs one after the other. Those that it has not begun
are taken back as soon as one takes long: nothing waits behind it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from typing import Any

from defer_client import wire
from defer_client.models import Failure
from defer_emulator.domain.jobs import End, Job, JobEnd, PoolListener
from defer_emulator.domain.work import LogChunk
from defer_emulator.interpreter import WorkersUnavailable
from defer_emulator.runner import limits
from defer_emulator.runner.dispatch import Dispatcher
from defer_emulator.runner.fleet import Fleet, FleetEvents, allow_many_descriptors
from defer_emulator.runner.frames import (
    Answer,
    CancelRequest,
    Frame,
    Raised,
    Ready,
    Request,
    Returned,
    Run,
)
from defer_emulator.runner.loading import LoadRequest, LoadResult, PoolOptions
from defer_emulator.runner.output import AttemptOutput, Stream
from defer_emulator.runner.pace import Pace
from defer_emulator.runner.process import RunningJob, WorkerProcess
from defer_emulator.runner.servers import ServerEvents, Servers
from defer_emulator.runner.timers import Timers
from defer_emulator.runner.zygote import Generation
from defer_emulator.workers import tree

_REVIVAL_PAUSE = 1.0  # seconds between tries to load the code again that was lost


class ProcessPool:
    """Implements the scheduler's `Pool` with processes.

    Everything happens in one event loop's thread. `now` gives microseconds on the emulated clock, for the
    log; `on_trouble` is told what the user should know of the pool itself; `pace` says when there is a flood.

    Use: `await open()`, `await load(request)`, then the methods of `Pool`; `await close()` at the end.
    """

    def __init__(
        self,
        listener: PoolListener,
        options: PoolOptions,
        *,
        now: Callable[[], int],
        on_trouble: Callable[[str], None] = lambda _message: None,
        pace: Pace | None = None,
    ) -> None:
        self._listener = listener
        self._options = options
        self.endpoint = ""  # where the programs that executions start reach this emulator, once it listens
        self._now = now
        self._on_trouble = on_trouble
        self._secret = secrets.token_bytes(32)
        self._generation = 0
        self._loads = 0  # going on
        self._loading = asyncio.Lock()
        self._request: LoadRequest | None = None
        self._pace = pace or Pace()
        self._revival: asyncio.Task[None] | None = None
        self._is_closing = False

    # --- life -------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the process that the others come from. Raises `WorkersUnavailable`."""
        tree.become_subreaper()
        self._loop = asyncio.get_running_loop()
        events = ServerEvents(
            on_exit=self._exited,
            on_fork_failed=lambda number, message: self._fleet.fork_failed(number, message),
            on_lost=self._lost,
            on_trouble=self._on_trouble,
        )
        self._servers = Servers(self._options, events)
        self._timers = Timers(self._loop)
        self._fleet = Fleet(
            self._options,
            self._servers,
            self._loop,
            FleetEvents(
                on_frame=self._heard,
                on_output=self._printed,
                on_idle=self._has_capacity,
                on_trouble=self._on_trouble,
            ),
            self._long_running,
        )
        self._jobs = Dispatcher(
            self._fleet,
            self._pace,
            self._timers,
            self._loop,
            prepare=self._running_job,
            on_begin=self._begun,
        )
        self._servers.start()
        allow_many_descriptors()  # now, not before: what runs in workers keeps the usual limit

    async def load(self, request: LoadRequest) -> LoadResult:
        """Import the project's code and run it from now on; until then nothing starts.

        What runs already keeps the code that it began with. Raises `WorkersUnavailable`.
        """
        self._loads += 1
        self._jobs.is_paused = True
        try:
            async with self._loading:
                self._request = request
                generation, result = await self._servers.load(request)
                old = self._fleet.current
                self._fleet.adopt(generation)
                if old is not None:
                    self._servers.retire(old)
                self._generation = result.generation
                if generation.is_gone:  # since it has said what it holds
                    self._lost(generation)
                return result
        finally:
            self._loads -= 1
            self._jobs.is_paused = self._loads > 0
            self._fleet.grow()
            self._has_capacity()

    async def close(self) -> None:
        """Kill everything and wait until it is gone, 2 s at most. The listener is told nothing more."""
        self._is_closing = True
        self._fleet.adopt(None)  # nothing is given to anybody, and no worker is started
        if self._revival is not None:
            self._revival.cancel()
        await self._servers.close()
        self._timers.close()
        self._jobs.close()
        self._fleet.close()

    def _lost(self, generation: Generation) -> None:
        if generation is self._fleet.current:
            self._fleet.adopt(None)
            self._on_trouble("the process that holds the project's code has died; the code is loaded again")
            self._revival = self._loop.create_task(self._revive())

    async def _revive(self) -> None:
        assert self._request is not None
        said = ""
        while self._fleet.current is None:  # else other code has been loaded meanwhile
            try:
                await self.load(self._request)
            except WorkersUnavailable as error:
                if str(error) != said:
                    self._on_trouble(str(error))
                said = str(error)
                await asyncio.sleep(_REVIVAL_PAUSE)

    # --- the scheduler's side -----------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Number of the code that idle workers run."""
        return self._generation

    @property
    def room(self) -> int:
        """How many jobs can be started now. 0 while new code is loading."""
        return self._jobs.room

    @property
    def is_flooded(self) -> bool:
        """Whether many short jobs follow each other, so that they are best claimed and settled together."""
        return self._jobs.is_flooded

    @property
    def unbegun(self) -> Collection[int]:
        """After the end: the sequences of the jobs that were started and that no worker had begun."""
        return self._jobs.unbegun

    def want(self, backlog: int) -> None:
        """So many jobs wait for a worker: start some, as many as seems useful."""
        self._jobs.want(backlog)

    def start(self, job: Job) -> None:
        """Run it as soon as a worker takes it."""
        self._jobs.start(job)

    def _running_job(self, job: Job, mark: str) -> RunningJob:
        return RunningJob(
            job=job,
            run=Run(
                execution_id=job.execution_id,
                attempt=job.attempt,
                function=job.function,
                module=job.module,
                arguments=job.arguments,
                token=self._token(job.execution_id),
                endpoint=self.endpoint,
                mark=mark,
                debug_port=job.debug_port,
                slow=0.0 if job.faults is None else job.faults.slow,
                fail="" if job.faults is None else job.faults.failure_of(job.attempt),
            ),
            output=AttemptOutput(job.sequence, job.attempt),
        )

    def _begun(self, worker: WorkerProcess, job: RunningJob) -> None:
        job.deadline = self._loop.call_later(job.job.max_duration, self._time_out, worker, job)
        if self._options.memory_limit is not None:
            self._timers.later(limits.MEMORY_INTERVAL, self._look_at_memory)

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        """Reply to a request: a JSON value, or an error as `wire.error_to_json` makes it."""
        found = self._jobs.running(sequence)
        if found is not None:
            worker, job = found
            job.waits.discard(request)
            worker.connection.send(Answer(request=request, result=result, error=error))

    def kill(self, sequence: int) -> None:
        """End the attempt and every process it started; `on_end` follows within 2 s with end "killed"."""
        unbegun = self._jobs.withdraw(sequence)
        if unbegun is not None:
            self._listener.on_end(JobEnd(sequence=sequence, attempt=unbegun.attempt, end="killed"))
        elif (found := self._jobs.running(sequence)) is not None:
            self._end(*found, "killed", None)
        self._jobs.give_waiting()

    def execution_of(self, token: str) -> str | None:
        """The id of the execution that got that token; None for any other text."""
        execution_id = token.partition(".")[0]
        known = secrets.compare_digest(token.encode(), self._token(execution_id).encode())
        return execution_id if known else None

    def _token(self, execution_id: str) -> str:
        """What an execution, and whatever it starts, shows to prove which one it is."""
        proof = hashlib.blake2b(execution_id.encode(), key=self._secret, digest_size=16)
        return f"{execution_id}.{proof.hexdigest()}"

    # --- limits -----------------------------------------------------------------------------

    def _time_out(self, worker: WorkerProcess, job: RunningJob) -> None:
        self._end(worker, job, "timed_out", limits.timed_out(job.job.max_duration))

    def _look_at_memory(self) -> None:
        limit = self._options.memory_limit
        if limit is None:
            return
        for worker in self._fleet.busy:
            if worker.running is not None and worker.running.job.debug_port:
                continue  # the debugger needs some too
            used = 0 if worker.pid is None else tree.family_bytes(worker.pid, limit)
            if used > limit and worker.running is not None:
                self._end(worker, worker.running, "out_of_memory", limits.out_of_memory(used, limit))
        if self._fleet.busy:
            self._timers.later(limits.MEMORY_INTERVAL, self._look_at_memory)

    def _end(self, worker: WorkerProcess, job: RunningJob, end: End, failure: Failure | None) -> None:
        """Decide how a running attempt ends. The first decision stands, but for the scheduler's."""
        if worker.queued:
            self._jobs.recall(worker)  # they are not to blame
            self._jobs.give_waiting()
        if worker.running is not job:
            return  # it has just ended by itself
        if job.fate is None or end == "killed":
            job.fate = (end, failure)
        self._fleet.kill(worker)

    # --- what workers say -------------------------------------------------------------------

    def _heard(self, worker: WorkerProcess, frame: Frame) -> None:
        running = worker.running
        match frame:
            case Ready():
                self._fleet.ready(worker, frame)
            case _ if running is None or running.fate is not None:
                pass  # too late: it is being ended, or a thread of an earlier job has asked
            case Request(request=request, method=method, params=params):
                if method == "wait":
                    running.waits.add(request)
                self._listener.on_request(running.job.sequence, request, method, params)
            case CancelRequest(request=request):
                running.waits.discard(request)
                self._listener.on_request_cancelled(running.job.sequence, request)
            case Returned() | Raised():
                self._ended(worker, running, frame)
            case _:
                self._fleet.kill(worker)  # not our protocol

    def _has_capacity(self) -> None:
        if self._is_closing:
            return
        self._jobs.give_waiting()
        if self.room:
            self._listener.on_capacity()

    def _long_running(self) -> int:
        """How many attempts leave the CPU to more workers."""
        now = self._loop.time()
        return sum(worker.leaves_the_cpu(now) for worker in self._fleet.busy)

    def _ended(self, worker: WorkerProcess, job: RunningJob, frame: Returned | Raised) -> None:
        job.ended = frame
        job.stop_clock()
        self._jobs.ended(frame.seconds)
        if job.may_be_followed and not frame.leaving:
            worker.end_output(marked=frame.marked)
        else:
            worker.drain()
        notes = [job.output.system(note, self._now()) for note in frame.notes]
        if frame.leaving:  # over when its process is: something of the attempt may still run there
            self._tell(notes)
            self._jobs.recall(worker)
            self._jobs.give_waiting()
            self._fleet.kill_soon(worker)
            return
        self._tell([*job.output.finish(self._now()), *notes])
        self._jobs.release(worker)
        self._report(job)
        self._jobs.begin_next(worker)

    def _printed(self, worker: WorkerProcess, stream: Stream, data: bytes) -> None:
        if worker.running is not None:
            self._tell(worker.running.output.feed(stream, data, self._now()))
        else:
            worker.unclaimed = (worker.unclaimed + data)[-1_000:]

    def _tell(self, chunks: Sequence[LogChunk]) -> None:
        if chunks:
            self._listener.on_output(chunks)

    # --- the end of an attempt and of a worker ----------------------------------------------

    def _exited(self, number: int, status: int) -> None:
        """A worker is gone, and everything below it."""
        worker = self._fleet.exited(number, status)
        if worker is None:
            return
        self._jobs.recall(worker)
        job = worker.running
        if job is not None:
            job.stop_clock()
            self._tell(job.output.finish(self._now()))
            self._jobs.release(worker)
            self._report(job, status)
        worker.close()
        self._jobs.give_waiting()
        self._fleet.grow()

    def _report(self, running: RunningJob, status: int = 0) -> None:
        job, ended = running.job, running.ended
        result: str | None = None
        end: End
        failure: Failure | None
        if running.fate is not None:
            end, failure = running.fate
        elif isinstance(ended, Returned):
            end, failure, result = "returned", None, ended.result
        elif isinstance(ended, Raised):
            end, failure = "raised", wire.failure_from_json(ended.failure)
        else:
            end, failure = "died", limits.died(status)
        self._listener.on_end(
            JobEnd(sequence=job.sequence, attempt=job.attempt, end=end, result=result, failure=failure)
        )
