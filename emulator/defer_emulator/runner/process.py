"""One worker process, as the pool sees it: a channel, two pipes, the job that it runs and those behind it."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from defer_client.models import Failure
from defer_emulator.domain.jobs import End, Job
from defer_emulator.runner import growth
from defer_emulator.runner.connection import Connection, readable
from defer_emulator.runner.frames import ON_CHANNEL, Frame, Raised, Returned, Run, packet
from defer_emulator.runner.output import AttemptOutput, Stream
from defer_emulator.runner.pace import DEPTH, PATIENCE
from defer_emulator.runner.queue import JobQueue
from defer_emulator.runner.zygote import Descriptors, Generation
from defer_emulator.workers import tree

_READ = 64 * 1024  # bytes: what a pipe holds


@dataclass(slots=True, eq=False)
class RunningJob:
    """A job that was given to a worker."""

    job: Job
    run: Run
    output: AttemptOutput
    begun: float = 0.0  # on the loop's clock; while it waits behind another one, nothing yet
    deadline: asyncio.TimerHandle | None = None
    waits: set[int] = field(default_factory=set)  # requests that wait for another execution
    ended: Returned | Raised | None = None  # what it has said
    fate: tuple[End, Failure | None] | None = None  # decided here: it is being killed
    is_long: bool = False  # see `WorkerProcess.leaves_the_cpu`
    is_alone: bool = False  # see `WorkerProcess.give`

    @property
    def may_be_followed(self) -> bool:
        """Whether its output can be told from that of a job behind it."""
        return bool(self.run.mark)

    def stop_clock(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()


class WorkerProcess:
    """A worker from before its fork until after its death."""

    def __init__(
        self,
        number: int,
        generation: Generation,
        loop: asyncio.AbstractEventLoop,
        *,
        on_frame: Callable[[WorkerProcess, Frame], None],
        on_output: Callable[[WorkerProcess, Stream, bytes], None],
        on_end: Callable[[WorkerProcess], None],
    ) -> None:
        """Raises `OSError` when the system gives no more descriptors."""
        self.number = number
        self.generation = generation
        self.unclaimed = b""  # the end of what it printed outside of any attempt
        self.pid: int | None = None
        self.fresh_size = 0  # bytes in RAM before its first job
        self.state: Literal["starting", "idle", "busy", "leaving", "gone"] = "starting"
        self.running: RunningJob | None = None
        self.queued: deque[RunningJob] = deque()  # behind it
        self.idle_since = 0.0
        self.mark = f"\x1e{secrets.token_hex(16)}"
        """Printed where the output of one attempt ends and that of the next begins."""
        self._loop = loop
        self._on_output = on_output
        self._held: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}  # printed by whom is not known yet
        self._jobs = JobQueue()
        ours, theirs = socket.socketpair()
        jobs = self._jobs.workers_end()
        out, out_end, err, err_end = _two_pipes()
        self.child_descriptors: Descriptors = (theirs.detach(), out_end, err_end, jobs.detach())
        """For the fork server. Whoever sends them closes them."""
        self.connection = Connection(loop, ours, lambda frame: on_frame(self, frame), lambda: on_end(self))
        self._pipes: dict[int, Stream] = {out: "stdout", err: "stderr"}
        for descriptor in (out, err):
            os.set_blocking(descriptor, False)
            loop.add_reader(descriptor, self._printed, descriptor)

    def leaves_the_cpu(self, now: float) -> bool:
        """Whether its job is one beside which another worker is of use: it waits for another execution,
        it has been seen asleep after a while, or it has run for so long that others must not wait for it.
        """
        job = self.running
        if job is None:
            return False
        if not job.is_long and now - job.begun >= growth.ASLEEP_AFTER:
            job.is_long = now - job.begun >= growth.LONG or self._is_asleep()
        return job.is_long or bool(job.waits)

    def _is_asleep(self) -> bool:
        """One that has said something sleeps because it was not listened to yet."""
        return self.pid is not None and tree.is_asleep(self.pid) and not self.connection.has_unread()

    # --- jobs -------------------------------------------------------------------------------

    def give(self, job: RunningJob) -> None:
        """Let it run the job, after those that it has. Raises `OSError` when there is no room.

        What goes through the channel cannot be taken back: it is given to an idle worker only, and alone.
        """
        try:
            self._jobs.put(packet(job.run))
        except OSError:  # it is too long to wait behind another job
            if self.running is not None:
                raise
            job.is_alone = True
            self._jobs.put(ON_CHANNEL)
            self.connection.send(job.run)
        self.queued.append(job)

    def takes_more(self, now: float) -> bool:
        """Whether a job may follow its last one at once: it has room, and none that takes long."""
        job = self.running
        if job is None or job.waits or job.fate is not None or now - job.begun >= PATIENCE:
            return False
        last = self.queued[-1] if self.queued else job
        return last.may_be_followed and not last.is_alone and len(self.queued) < DEPTH - 1

    def take_back(self) -> list[RunningJob]:
        """Of its jobs, those that it has not begun. It cannot begin them any more.

        One that was killed stays: it ends with the worker, begun or not. One that has only waited too long
        for this worker has a fresh start with another.
        """
        count = self._jobs.take_back()
        jobs = [*([] if self.running is None else [self.running]), *self.queued]
        begun, back = jobs[: len(jobs) - count], jobs[len(jobs) - count :]
        if self.running is not None and self.running in back:
            if self.running.fate is not None and self.running.fate[0] == "killed":
                back.remove(self.running)
            else:
                self.running = None
        self.queued = deque(job for job in begun if job is not self.running)
        return back

    # --- what it prints ---------------------------------------------------------------------

    def drain(self) -> None:
        """Take what is in the pipes now, without waiting for more. All of it belongs to the job that runs."""
        self._empty_pipes()
        for stream, held in tuple(self._held.items()):
            self._held[stream] = held.replace(self.mark.encode(), b"")
            self._tell(stream, len(self._held[stream]))

    def end_output(self, *, marked: bool) -> None:
        """A job that may be followed by others is over: tell the rest of what it has printed. Without the
        mark it has printed nothing, and what is here is the next one's."""
        if not marked:
            return
        self._empty_pipes()
        mark = self.mark.encode()
        for stream in self._held:
            end = self._held[stream].find(mark)
            if end < 0:  # the function has closed the pipe
                end = len(self._held[stream])
            self._tell(stream, end)
            self._held[stream] = self._held[stream][len(mark) :]

    def _empty_pipes(self) -> None:
        for descriptor in tuple(self._pipes):
            waiting = readable(descriptor)
            while waiting > 0 and descriptor in self._pipes:
                waiting -= self._read(descriptor)

    def _printed(self, descriptor: int) -> None:
        """A pipe has something."""
        stream = self._pipes[descriptor]
        self._read(descriptor)
        if self.queued:
            # Has the job ended before this was printed? The end of one is said before the next begins.
            self.connection.drain()
        self._tell(stream, self._unmarked(stream))

    def _unmarked(self, stream: Stream) -> int:
        """How much was certainly printed before the next mark."""
        held = self._held[stream]
        start = held.rfind(self.mark[0].encode())
        if start < 0:
            return len(held)
        first = held.find(self.mark.encode())
        if first >= 0:
            return first
        return start if self.mark.encode().startswith(held[start:]) else len(held)

    def _tell(self, stream: Stream, size: int) -> None:
        data, self._held[stream] = self._held[stream][:size], self._held[stream][size:]
        if data:
            self._on_output(self, stream, data)

    def _read(self, descriptor: int) -> int:
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return _READ
        except OSError:
            data = b""
        if data:
            self._held[self._pipes[descriptor]] += data
        else:
            self._close_pipe(descriptor)
        return len(data) or _READ

    # --- the end ----------------------------------------------------------------------------

    def hang_up(self) -> None:
        """An idle worker exits then."""
        self.connection.close()
        self._jobs.close()

    def close(self) -> None:
        """It is gone: close everything."""
        self.hang_up()
        for descriptor in tuple(self._pipes):
            self._close_pipe(descriptor)

    def _close_pipe(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        del self._pipes[descriptor]
        os.close(descriptor)


def _two_pipes() -> list[int]:
    """The ends of both, to read and to write, or none: those of a pipe are not closed by themselves."""
    ends = [*os.pipe()]
    try:
        return [*ends, *os.pipe()]
    except OSError:
        for end in ends:
            os.close(end)
        raise
