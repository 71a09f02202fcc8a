"""The fork servers, as the pool sees them: the base, one in an emulator's life, and the generations."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import defer_emulator
from defer_emulator.interpreter import WorkersUnavailable
from defer_emulator.runner.connection import Connection
from defer_emulator.runner.frames import Described, Fork, Frame, Importing, Kill, Load, Spawn
from defer_emulator.runner.limits import how
from defer_emulator.runner.loading import PoolOptions
from defer_emulator.runner.output import LineSplitter

EMULATOR_VARIABLE = "DEFER_EMULATOR_ID"
PROJECT_VARIABLE = "DEFER_PROJECT_ID"
TOKEN_VARIABLE = "DEFER_EXECUTION_TOKEN"

Descriptors = tuple[int, int, int, int]
"""Of a worker: its channel, its stdout, its stderr, and where it takes jobs from."""

_MAIN = Path(defer_emulator.__path__[0]) / "workers" / "python" / "__main__.py"
_POLL = 0.002  # seconds between looks at a process that is about to end
_LONGEST_OUTPUT = 1_000  # lines of a load that are kept


class Base:
    """The process that holds what every worker needs, and forks generations."""

    def __init__(
        self,
        options: PoolOptions,
        loop: asyncio.AbstractEventLoop,
        *,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[], None],
    ) -> None:
        """Raises `WorkersUnavailable`."""
        ours, theirs = socket.socketpair()
        environment = {
            **os.environ,
            PROJECT_VARIABLE: options.project,
            EMULATOR_VARIABLE: options.emulator_id,
        }
        environment.pop(TOKEN_VARIABLE, None)  # of an execution that has started this emulator
        try:
            self.process = subprocess.Popen(
                [options.python, str(_MAIN), "base", str(theirs.fileno()), options.client],
                pass_fds=[theirs.fileno()],
                cwd=options.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # not /dev/null: streams made on it believe that they can seek
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise WorkersUnavailable(
                f"the project's Python cannot be started: {error}",
                hint="choose another Python: --python, or `python` in the configuration",
            ) from None
        finally:
            theirs.close()
        self.was_heard = False  # it has forked something: the interpreter runs our code
        self.said = ""  # what it wrote, known after its end
        self._on_frame = on_frame
        self.connection = Connection(loop, ours, self._hear, on_end)

    def _hear(self, frame: Frame) -> None:
        self.was_heard = True
        self._on_frame(frame)

    async def gone(self, within: float) -> bool:
        """Wait until the process has ended."""
        deadline = asyncio.get_running_loop().time() + within
        while self.process.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_POLL)
        return True

    def close(self) -> None:
        """Its end: it kills all that is below it, and exits."""
        self.connection.close()

    def release(self) -> None:
        """After its end."""
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            os.set_blocking(pipe.fileno(), False)
            self.said = (pipe.read() or b"").decode(errors="replace").strip()


def cannot_start(reason: object) -> WorkersUnavailable:
    """The system gives no process, or no descriptors, for the project's code."""
    return WorkersUnavailable(
        f"no process can be started that imports the project's code: {reason}",
        hint="end some programs, or raise the limits of processes and open files",
    )


class ImportStopped(Exception):
    """A load did not come to its end: importing `file`, "" for `setup`, hangs or has ended the process."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason


class Generation:
    """A process that has imported the project's code once, and forks workers.

    `is_spawning`: its code must not be forked, or shall not be. It was asked what the project holds and
    has ended; the base starts its workers.
    """

    def __init__(
        self,
        number: int,
        load: Load,
        base: Base,
        loop: asyncio.AbstractEventLoop,
        *,
        on_frame: Callable[[Frame], None],
    ) -> None:
        self.number = number
        self.load = load
        self.is_spawning = False
        self.is_retired = False  # newer code has been loaded
        self.workers: set[int] = set()  # the numbers of those that live
        self.output: list[str] = []
        self._base = base
        self._loop = loop
        self._on_frame = on_frame
        self._importing = ""
        self._begun = loop.time()  # with that import
        self._progress = asyncio.Event()
        self._described: Described | None = None
        self._status: int | None = None
        self._refusal = ""
        self._splitter = LineSplitter()
        ours, theirs = socket.socketpair()
        self._pipe, printing = os.pipe()
        os.set_blocking(self._pipe, False)
        loop.add_reader(self._pipe, self._read)
        self._connection = Connection(loop, ours, self._receive, lambda: None)  # the base says its end
        base.connection.send(Fork(number=number), [theirs.detach(), printing, os.dup(printing)])
        self._connection.send(load)

    @property
    def is_loaded(self) -> bool:
        return self._described is not None

    @property
    def is_gone(self) -> bool:
        """Whether it can start no worker any more."""
        return self._status is not None and not self.is_spawning

    async def described(self, timeout: float) -> Described:
        """Wait for the imports. `timeout` is in seconds, for each file.

        Raises `ImportStopped`, or `WorkersUnavailable` when there could be no process.
        """
        while self._described is None:
            if self._refusal:
                raise cannot_start(self._refusal)
            if self._status is not None:
                raise ImportStopped(self._importing, f"importing it ended the process: {how(self._status)}")
            self._progress.clear()
            try:
                await asyncio.wait_for(self._progress.wait(), self._begun + timeout - self._loop.time())
            except asyncio.TimeoutError:
                if self._loop.time() < self._begun + timeout:
                    continue  # another file has its turn by now
                said = f"importing it did not end within {timeout:g} s"
                raise ImportStopped(self._importing, said) from None
        self._read()
        self.output += self._splitter.finish()
        return self._described

    def start_worker(self, number: int, descriptors: Descriptors) -> None:
        if self.is_spawning:
            self._base.connection.send(Spawn(number=number), descriptors)
        else:
            self._connection.send(Fork(number=number), descriptors)

    def kill_worker(self, number: int) -> None:
        (self._base.connection if self.is_spawning else self._connection).send(Kill(number=number))

    def spawn_from_now_on(self) -> None:
        self.is_spawning = True
        self.close()

    def kill(self) -> None:
        """End it and all its workers, whatever they do."""
        self._base.connection.send(Kill(number=self.number))
        self.close()

    def close(self) -> None:
        """It ends what is below it, and exits."""
        self._connection.close()
        self._close_pipe()

    def ended(self, status: int) -> None:
        """The base says that it is gone, with all that was below it."""
        if not self.is_loaded:
            self._connection.drain()  # which file it was importing: its last words may come after those
        self._status = status
        self._progress.set()
        self.close()

    def refused(self, message: str) -> None:
        """The base could not fork it."""
        self._refusal = message
        self._progress.set()
        self.close()

    def _receive(self, frame: Frame) -> None:
        match frame:
            case Importing(file=file):
                self._importing, self._begun = file, self._loop.time()
            case Described():
                self._described = frame
                self._progress.set()
            case _:
                self._on_frame(frame)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = b"" if self._pipe < 0 else os.read(self._pipe, 65536)
            if not data:
                self._close_pipe()
            elif len(self.output) < _LONGEST_OUTPUT:
                self.output += self._splitter.feed(data)

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
