"""The worker processes of a pool: how many there are, which are idle, how they start and go."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from defer_emulator.runner import growth, limits
from defer_emulator.runner.frames import VERSION, Frame, Ready
from defer_emulator.runner.loading import PoolOptions
from defer_emulator.runner.output import Stream
from defer_emulator.runner.process import WorkerProcess
from defer_emulator.runner.servers import Servers
from defer_emulator.runner.timers import Timers
from defer_emulator.runner.zygote import Generation
from defer_emulator.workers import tree

_DESCRIPTORS = 8_192  # that this process may have open
_REST = 0.5  # seconds without new workers after one could not be started
_KEPT = 0.5  # of the memory limit: what executions may leave in a worker that others get
_HANG_UP = 0.2  # seconds from the end of a worker's channel to its death; then it is killed


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetEvents:
    """What the pool is told."""

    on_frame: Callable[[WorkerProcess, Frame], None]
    on_output: Callable[[WorkerProcess, Stream, bytes], None]
    on_idle: Callable[[], None]  # a worker can take a job
    on_trouble: Callable[[str], None]


class Fleet:
    """Starts workers as they are wanted, keeps some warm, ends those that are idle for long."""

    def __init__(
        self,
        options: PoolOptions,
        servers: Servers,
        loop: asyncio.AbstractEventLoop,
        events: FleetEvents,
        long_running: Callable[[], int],
    ) -> None:
        """`long_running` counts the attempts that leave the CPU to others."""
        self._options = options
        self._servers = servers
        self._loop = loop
        self._events = events
        self._long_running = long_running
        self._timers = Timers(loop)
        self._current: Generation | None = None
        self._workers: dict[int, WorkerProcess] = {}  # all, by number
        self._starting = 0
        self._idle: list[WorkerProcess] = []  # of the current code; the latest used last, new ones first
        self._busy: list[WorkerProcess] = []
        self._wanted = 0
        self._resting_until = 0.0
        self._trouble = ""
        self._is_closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def busy(self) -> Sequence[WorkerProcess]:
        """Those that have been taken and not put back."""
        return tuple(self._busy)

    @property
    def current(self) -> Generation | None:
        """The code that new workers run."""
        return self._current

    def adopt(self, generation: Generation | None) -> None:
        """Other code from now on; None: there is none, start nothing."""
        self._current = generation
        for worker in self._idle:
            self._let_go(worker)
        self._idle.clear()

    def want(self, jobs: int) -> None:
        """So many jobs wait for a worker."""
        self._wanted = jobs
        if not self._timers.is_waiting(self.grow):  # else it was not useful a moment ago
            self.grow()

    def take(self) -> WorkerProcess:
        """An idle worker, for a job: the one whose memory is warmest."""
        worker = self._idle.pop()
        worker.state = "busy"
        self._busy.append(worker)
        self._wanted = max(0, self._wanted - 1)
        if not self._idle:
            self._timers.later(growth.AGAIN, self.grow)
        return worker

    def ready(self, worker: WorkerProcess, frame: Ready) -> None:
        """The first word of a worker."""
        if worker.state != "starting":
            return
        worker.pid = frame.pid
        worker.fresh_size = tree.resident_bytes(frame.pid)
        self._starting -= 1
        if frame.version == VERSION:
            self.put_back(worker)
        else:
            self._let_go(worker)
            self._rest(f"a worker speaks version {frame.version} of the protocol, not {VERSION}")

    def put_back(self, worker: WorkerProcess) -> None:
        """It takes a job, unless its code is old, or it is full of what others have left there."""
        if worker.state == "gone":
            return
        if worker.state == "busy":
            self._busy.remove(worker)
        if worker.generation is not self._current or self._is_full(worker):
            self._let_go(worker)
            return
        is_new = worker.state == "starting"
        worker.state = "idle"
        worker.idle_since = self._loop.time()
        self._idle.insert(0 if is_new else len(self._idle), worker)
        if len(self._idle) > self._options.warm:
            self._timers.later(growth.IDLE_SECONDS, self._shrink)
        self._events.on_idle()

    def kill(self, worker: WorkerProcess) -> None:
        worker.generation.kill_worker(worker.number)

    def kill_soon(self, worker: WorkerProcess) -> None:
        """It should exit by itself now."""
        self._loop.call_later(_HANG_UP, self._kill_if_alive, worker)

    def exited(self, number: int, status: int) -> WorkerProcess | None:
        """The process is gone. Its last words have been heard when this returns. The pool closes it."""
        worker = self._workers.get(number)
        if worker is None or self._is_closed:
            return None
        before, worker.state = worker.state, "gone"
        worker.connection.drain()
        worker.drain()
        del self._workers[number]
        if before == "starting":
            self._starting -= 1
            self._rest(f"a worker could not start: {limits.how(status)}", worker.unclaimed)
        elif before == "idle":
            self._idle.remove(worker)
        elif before == "busy":
            self._busy.remove(worker)
        return worker

    def fork_failed(self, number: int, message: str) -> None:
        self._starting -= 1
        self._workers.pop(number).close()
        self._rest(f"a worker could not be started: {message}")

    def close(self) -> None:
        """All processes are gone."""
        self._is_closed = True
        self._timers.close()
        for worker in self._workers.values():
            worker.close()

    # --- more and less ----------------------------------------------------------------------

    def grow(self) -> None:
        """Start the workers that are useful now, and look again soon if more may be."""
        if self._current is None or self._is_closed:
            return
        now = self._loop.time()
        if now < self._resting_until:
            self._timers.later(self._resting_until - now, self.grow)
            return
        count = growth.workers_to_start(
            wanted=self._wanted,
            warm=self._options.warm,
            idle=len(self._idle),
            starting=self._starting,
            total=len(self._workers),
            most=self._options.max_workers,
            long=self._long_running(),
        )
        for _ in range(count):
            self._start(self._current)
        is_short = max(self._wanted, self._options.warm) > len(self._idle) + self._starting
        if is_short and len(self._workers) < self._options.max_workers:
            self._timers.later(growth.AGAIN, self.grow)

    def _start(self, generation: Generation) -> None:
        number = self._servers.new_number()
        try:
            worker = WorkerProcess(
                number,
                generation,
                self._loop,
                on_frame=self._events.on_frame,
                on_output=self._events.on_output,
                on_end=self.kill_soon,  # either the process has ended too, or the function has closed it
            )
        except OSError as error:
            self._rest(f"a worker could not be started: {error}")
            return
        self._workers[number] = worker
        self._starting += 1
        self._loop.call_later(self._options.import_timeout, self._end_hanging_start, worker)
        self._servers.start_worker(generation, number, worker.child_descriptors)
        if generation.is_spawning:
            worker.connection.send(generation.load)

    def _end_hanging_start(self, worker: WorkerProcess) -> None:
        """Nothing but a hook of the project can take so long."""
        if worker.state == "starting":
            self._kill_if_alive(worker)

    def _kill_if_alive(self, worker: WorkerProcess) -> None:
        if worker.number in self._workers and not self._is_closed:
            self.kill(worker)

    def _rest(self, message: str, output: bytes = b"") -> None:
        """Start no worker for a moment, and say why once."""
        said = output.decode(errors="replace").strip().splitlines()
        trouble = f"{message} ({said[-1]})" if said else message
        if trouble != self._trouble:
            self._events.on_trouble(trouble)
        self._trouble = trouble
        self._resting_until = self._loop.time() + _REST
        self._timers.later(_REST, self.grow)

    def _let_go(self, worker: WorkerProcess) -> None:
        """An idle worker exits when its channel is closed."""
        worker.state = "leaving"
        worker.hang_up()
        self.kill_soon(worker)

    def _is_full(self, worker: WorkerProcess) -> bool:
        """Whether the next execution would be to blame for memory that earlier ones have kept."""
        limit = self._options.memory_limit
        if limit is None or worker.pid is None:
            return False
        return tree.resident_bytes(worker.pid) - worker.fresh_size > limit * _KEPT

    def _shrink(self) -> None:
        """End workers that have been idle for long, but for a few."""
        now = self._loop.time()
        while len(self._idle) > self._options.warm:
            left = self._idle[0].idle_since + growth.IDLE_SECONDS - now
            if left > 0:
                self._timers.later(left, self._shrink)
                return
            self._let_go(self._idle.pop(0))


def allow_many_descriptors() -> None:
    """Each worker needs five of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
