"""One worker process, as the pool sees it: a channel, two pipes, and the job that it runs."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from defer_client.models import Failure
from defer_emulator.domain.jobs import End, Job
from defer_emulator.runner.connection import Connection
from defer_emulator.runner.frames import Frame, Raised, Returned
from defer_emulator.runner.output import AttemptOutput, Stream
from defer_emulator.runner.zygote import Generation

_READ = 256 * 1024  # bytes


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

    def drain(self) -> None:
        """Take what is in the pipes now, without waiting for more."""
        for descriptor in tuple(self._pipes):
            waiting = _readable(descriptor)
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


def _readable(descriptor: int) -> int:
    """How many bytes wait in a pipe."""
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    return int(struct.unpack("i", answer)[0])
