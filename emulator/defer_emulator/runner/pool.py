"""The pool: worker processes, started as they are needed, each with one attempt at a time."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from defer_client import wire
from defer_client.models import Failure
from defer_emulator.domain.jobs import End, Job, JobEnd, PoolListener
from defer_emulator.domain.work import LogChunk
from defer_emulator.runner import limits
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
from defer_emulator.runner.loading import LoadRequest, LoadResult, PoolOptions, WorkersUnavailable
from defer_emulator.runner.output import AttemptOutput, Stream
from defer_emulator.runner.process import RunningJob, WorkerProcess
from defer_emulator.runner.servers import ServerEvents, Servers
from defer_emulator.runner.timers import Timers
from defer_emulator.runner.zygote import Generation
from defer_emulator.workers import tree


class ProcessPool:
    """Implements the scheduler's `Pool` with processes.

    Everything happens in one event loop's thread. `now` gives microseconds on the emulated clock, for the
    log; `on_trouble` is told what the user should know of the pool itself.

    Use: `await open()`, `await load(request)`, then the methods of `Pool`; `await close()` at the end.
    """

    def __init__(
        self,
        listener: PoolListener,
        options: PoolOptions,
        *,
        now: Callable[[], int],
        on_trouble: Callable[[str], None] = lambda _message: None,
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
        self._busy: dict[int, WorkerProcess] = {}  # by sequence
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
        self._servers.start()
        allow_many_descriptors()  # now, not before: what runs in workers keeps the usual limit
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

    async def load(self, request: LoadRequest) -> LoadResult:
        """Import the project's code and run it from now on; until then nothing starts.

        What runs already keeps the code that it began with. Raises `WorkersUnavailable`.
        """
        self._loads += 1
        try:
            async with self._loading:
                self._request = request
                generation, result = await self._servers.load(request)
                old = self._fleet.current
                self._fleet.adopt(generation)
                if old is not None:
                    self._servers.retire(old)
                self._generation = result.generation
                return result
        finally:
            self._loads -= 1
            self._fleet.grow()
            self._has_capacity()

    async def close(self) -> None:
        """Kill everything and wait until it is gone, 2 s at most. The listener is told nothing more."""
        self._is_closing = True
        if self._revival is not None:
            self._revival.cancel()
        await self._servers.close()
        self._timers.close()
        self._fleet.close()
        for worker in self._busy.values():
            if worker.running is not None:
                worker.running.deadline.cancel()

    def _lost(self, generation: Generation) -> None:
        if generation is self._fleet.current:
            self._fleet.adopt(None)
            self._on_trouble("the process that holds the project's code has died; the code is loaded again")
            self._revival = self._loop.create_task(self._revive())

    async def _revive(self) -> None:
        assert self._request is not None
        try:
            await self.load(self._request)
        except WorkersUnavailable as error:
            self._on_trouble(str(error))

    # --- the scheduler's side -----------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Number of the code that idle workers run."""
        return self._generation

    @property
    def idle(self) -> int:
        """Workers that can take a job now. 0 while new code is loading."""
        return 0 if self._loads else self._fleet.idle

    def want(self, backlog: int) -> None:
        """So many jobs wait for a worker: start some, as many as seems useful."""
        self._fleet.want(backlog)

    def start(self, job: Job) -> None:
        """Run on an idle worker. Raises `RuntimeError` when there is none."""
        if not self.idle:
            raise RuntimeError("no worker is idle")
        worker = self._fleet.take()
        worker.running = RunningJob(
            job=job,
            output=AttemptOutput(job.sequence, job.attempt),
            begun=self._loop.time(),
            deadline=self._loop.call_later(job.max_duration, self._time_out, worker),
        )
        self._busy[job.sequence] = worker
        worker.connection.send(
            Run(
                execution_id=job.execution_id,
                attempt=job.attempt,
                function=job.function,
                module=job.module,
                arguments=job.arguments,
                token=self._token(job.execution_id),
                endpoint=self.endpoint,
            )
        )
        if self._options.memory_limit is not None:
            self._timers.later(limits.MEMORY_INTERVAL, self._look_at_memory)

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        """Reply to a request: a JSON value, or an error as `wire.error_to_json` makes it."""
        worker = self._busy.get(sequence)
        if worker is not None and worker.running is not None:
            worker.running.waits.discard(request)
            worker.connection.send(Answer(request=request, result=result, error=error))

    def kill(self, sequence: int) -> None:
        """End the attempt and every process it started; `on_end` follows within 2 s with end "killed"."""
        worker = self._busy.get(sequence)
        if worker is not None:
            self._end(worker, "killed", None)

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

    def _time_out(self, worker: WorkerProcess) -> None:
        if worker.running is not None:
            self._end(worker, "timed_out", limits.timed_out(worker.running.job.max_duration))

    def _look_at_memory(self) -> None:
        limit = self._options.memory_limit
        if limit is None:
            return
        for worker in tuple(self._busy.values()):
            used = 0 if worker.pid is None else tree.resident_bytes(worker.pid)
            if used > limit:
                self._end(worker, "out_of_memory", limits.out_of_memory(used, limit))
        if self._busy:
            self._timers.later(limits.MEMORY_INTERVAL, self._look_at_memory)

    def _end(self, worker: WorkerProcess, end: End, failure: Failure | None) -> None:
        """Decide how a running attempt ends. The first decision stands, but for the scheduler's."""
        running = worker.running
        if running is None:
            return
        if running.fate is None or end == "killed":
            running.fate = (end, failure)
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
        if self.idle and not self._is_closing:
            self._listener.on_capacity()

    def _long_running(self) -> int:
        """How many attempts leave the CPU to more workers."""
        now = self._loop.time()
        return sum(worker.leaves_the_cpu(now) for worker in self._busy.values())

    def _ended(self, worker: WorkerProcess, running: RunningJob, frame: Returned | Raised) -> None:
        running.ended = frame
        running.deadline.cancel()
        worker.drain()
        notes = [running.output.system(note, self._now()) for note in frame.notes]
        if frame.leaving:  # over when its process is: something of the attempt may still run there
            self._tell(notes)
            self._fleet.kill_soon(worker)
            return
        self._tell([*running.output.finish(self._now()), *notes])
        self._release(worker)
        self._report(running)
        self._fleet.put_back(worker)

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
        running = worker.running
        if running is not None:
            running.deadline.cancel()
            self._tell(running.output.finish(self._now()))
            self._release(worker)
            self._report(running, status)
        self._fleet.grow()

    def _release(self, worker: WorkerProcess) -> None:
        if worker.running is not None:
            del self._busy[worker.running.job.sequence]
            worker.running = None

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
