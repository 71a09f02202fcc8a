"""One worker process, as the pool sees it: a channel, two pipes, and the job that it runs."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from defer_client.models import Failure
from defer_emulator.domain.jobs import End, Job
from defer_emulator.runner import growth
from defer_emulator.runner.connection import Connection, readable
from defer_emulator.runner.frames import Frame, Raised, Returned
from defer_emulator.runner.output import AttemptOutput, Stream
from defer_emulator.runner.zygote import Generation
from defer_emulator.workers import tree

_READ = 64 * 1024  # bytes: what a pipe holds


@dataclass(slots=True)
class RunningJob:
    """What a busy worker is at."""

    job: Job
    output: AttemptOutput
    begun: float  # on the loop's clock
    deadline: asyncio.TimerHandle
    waits: set[int] = field(default_factory=set)  # requests that wait for another execution
    ended: Returned | Raised | None = None  # what it has said
    fate: tuple[End, Failure | None] | None = None  # decided here: it is being killed
    is_long: bool = False  # see `WorkerProcess.leaves_the_cpu`


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
        self.number = number
        self.generation = generation
        self.unclaimed = b""  # the end of what it printed outside of any attempt
        self.pid: int | None = None
        self.state: Literal["starting", "idle", "busy", "leaving"] = "starting"
        self.running: RunningJob | None = None
        self.idle_since = 0.0
        self._loop = loop
        self._on_output = on_output
        ours, theirs = socket.socketpair()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self.child_descriptors = (theirs.detach(), out_end, err_end)
        """For the fork server. Whoever sends them closes them."""
        self.connection = Connection(loop, ours, lambda frame: on_frame(self, frame), lambda: on_end(self))
        self._pipes: dict[int, Stream] = {out: "stdout", err: "stderr"}
        for descriptor in (out, err):
            os.set_blocking(descriptor, False)
            loop.add_reader(descriptor, self._read, descriptor)

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

    def drain(self) -> None:
        """Take what is in the pipes now, without waiting for more."""
        for descriptor in tuple(self._pipes):
            waiting = readable(descriptor)
            while waiting > 0 and descriptor in self._pipes:
                waiting -= self._read(descriptor)

    def close(self) -> None:
        """Close everything. An idle worker exits when its channel ends."""
        self.connection.close()
        for descriptor in tuple(self._pipes):
            self._close_pipe(descriptor)

    def _read(self, descriptor: int) -> int:
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return _READ
        except OSError:
            data = b""
        if data:
            self._on_output(self, self._pipes[descriptor], data)
        else:
            self._close_pipe(descriptor)
        return len(data) or _READ

    def _close_pipe(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        del self._pipes[descriptor]
        os.close(descriptor)
