"""The fork servers as a whole: they load code, start and end workers, and are started again when they die."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from defer_emulator.interpreter import WorkersUnavailable
from defer_emulator.runner.frames import Exited, Forked, ForkFailed, Frame
from defer_emulator.runner.loading import (
    ImportProblem,
    LoadRequest,
    LoadResult,
    ModuleFile,
    PoolOptions,
    load_frame,
    load_result,
)
from defer_emulator.runner.zygote import (
    PROJECT_VARIABLE,
    Base,
    Descriptors,
    Generation,
    ImportStopped,
    cannot_start,
)
from defer_emulator.workers import tree

_END_WITHIN = 1.5  # seconds for everything to be gone
_PAUSE = 0.005  # seconds between looks at what is being ended
_KILLED = -9
_HINT = "hint: "  # begins the last line of an interpreter that knows what would help
_OTHER_PYTHON = "choose another Python: --python, or `python` in the configuration"
_FORKS_SAFELY = sys.platform.startswith("linux")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerEvents:
    """What the pool is told."""

    on_exit: Callable[[int, int], None]  # a worker's number and exit status: it is gone, with all below it
    on_fork_failed: Callable[[int, str], None]  # a worker's number and the reason
    on_lost: Callable[[Generation], None]  # a generation has died that should not
    on_trouble: Callable[[str], None]


class Servers:
    """The base and its generations, in the running event loop."""

    def __init__(self, options: PoolOptions, events: ServerEvents) -> None:
        self._options = options
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._loads = 0
        self._base: Base | None = None
        self._generations: dict[int, Generation] = {}  # all that live, by number
        self._pids: dict[int, int] = {}  # of all that was forked and is not known to be gone
        self._recovery: asyncio.Task[None] | None = None
        self._is_closing = False

    def start(self) -> None:
        """Start the base. Raises `WorkersUnavailable`."""
        self._base = Base(self._options, self._loop, on_frame=self._receive, on_end=self._base_ended)

    async def load(self, request: LoadRequest) -> tuple[Generation, LoadResult]:
        """Import code in a new process. What hangs or ends the process is left out, and said.

        Raises `WorkersUnavailable`.
        """
        self._loads += 1
        stopped: list[ImportProblem] = []
        modules = list(request.modules)
        may_lose_base = True
        while True:
            base = await self._running_base()
            frame = load_frame(self._options.root, request, modules)
            try:
                generation = Generation(next(self._numbers), frame, base, self._loop, on_frame=self._receive)
            except OSError as error:
                raise cannot_start(error) from None
            self._generations[generation.number] = generation
            try:
                described = await generation.described(self._options.import_timeout)
                break
            except ImportStopped as error:
                generation.kill()
                self._require_heard(base)
                if self._base is not base and may_lose_base:  # died by itself: no file is to blame
                    may_lose_base = False
                    continue
                culprits = [module for module in modules if error.file in (module.file, "")]
                stopped += [_stopped(module, error, request.setup) for module in culprits]
                modules = [module for module in modules if module not in culprits]
                if not error.file:
                    request = replace(request, setup=None)
        if described.unforkable or self._options.worker_start == "spawn" or not _FORKS_SAFELY:
            generation.spawn_from_now_on()
            self._generations[generation.number] = generation  # though its process may have ended by itself
        return generation, load_result(self._loads, described, stopped, generation.output)

    def start_worker(self, generation: Generation, number: int, descriptors: Descriptors) -> None:
        generation.workers.add(number)
        generation.start_worker(number, descriptors)

    def new_number(self) -> int:
        """A name for a child that is going to be started."""
        return next(self._numbers)

    def retire(self, generation: Generation) -> None:
        """Its code is old. It ends when its last worker has."""
        generation.is_retired = True
        self._end_if_unused(generation)

    async def close(self) -> None:
        """Kill everything and wait until it is gone, at most 2 s."""
        self._is_closing = True
        if self._recovery is not None:
            await self._recovery
        for generation in self._generations.values():
            generation.close()
        if self._base is not None:
            self._base.close()
            if not await self._base.gone(_END_WITHIN):
                tree.kill(self._base.process.pid)
                await self._base.gone(_END_WITHIN)
                await self._end_orphans()
            self._base.release()

    # --- what they say ----------------------------------------------------------------------

    def _receive(self, frame: Frame) -> None:
        match frame:
            case Forked(number=number, pid=pid):
                self._pids[number] = pid
            case Exited(number=number, status=status):
                self._exited(number, status)
            case ForkFailed(number=number, message=message) if number not in self._generations:
                self._forget(number)
                self._events.on_fork_failed(number, message)
            case ForkFailed(number=number, message=message):
                self._generations.pop(number).refused(message)
            case _:
                raise AssertionError(f"a fork server does not say {frame}")

    def _exited(self, number: int, status: int) -> None:
        generation = self._generations.get(number)
        if generation is None:
            self._forget(number)
            self._events.on_exit(number, status)
        elif generation.is_spawning:  # it has said what it holds; that was all it was for
            self._pids.pop(number, None)
        else:
            self._generation_ended(generation, status)

    def _generation_ended(self, generation: Generation, status: int) -> None:
        """It is gone, and so are its workers and what was below them."""
        del self._generations[generation.number]
        self._pids.pop(generation.number, None)
        generation.ended(status)
        if generation.is_loaded and not generation.is_retired and not self._is_closing:
            self._events.on_lost(generation)  # first: no worker is to be started there any more
        for worker in tuple(generation.workers):
            self._exited(worker, _KILLED)

    def _forget(self, number: int) -> None:
        self._pids.pop(number, None)
        for generation in tuple(self._generations.values()):
            if number in generation.workers:
                generation.workers.discard(number)
                self._end_if_unused(generation)

    def _end_if_unused(self, generation: Generation) -> None:
        if generation.is_retired and not generation.workers:
            generation.close()
            if generation.is_spawning:
                del self._generations[generation.number]

    # --- when the base dies -------------------------------------------------------------------

    async def _running_base(self) -> Base:
        if self._recovery is not None:
            await self._recovery
        if self._base is None:
            self.start()
        assert self._base is not None
        return self._base

    def _require_heard(self, base: Base) -> None:
        """An interpreter that cannot run our code ends at once: say what it said."""
        if base.was_heard:
            return
        said = base.said.splitlines() or ["no answer"]
        hint = said.pop().removeprefix(_HINT) if said[-1].startswith(_HINT) else _OTHER_PYTHON
        reason = said[-1] if re.match(r"\w+Error\b", said[-1]) else said[0]  # a traceback, or a message
        raise WorkersUnavailable(
            f"the project's Python ({self._options.python}) cannot run functions: {reason}", hint=hint
        )

    def _base_ended(self) -> None:
        if not self._is_closing:
            self._recovery = self._loop.create_task(self._recover())

    async def _recover(self) -> None:
        """The base is dead, and by that the generations and workers; end what those leave behind."""
        base, self._base = self._base, None
        if base is None:
            return
        tree.kill(base.process.pid)
        await base.gone(_END_WITHIN)
        await self._end_orphans()
        base.release()
        self._recovery = None
        if base.was_heard:
            self._events.on_trouble("the process that starts workers has died; it is started again")
        for generation in tuple(self._generations.values()):
            self._generation_ended(generation, _KILLED)

    async def _end_orphans(self) -> None:
        """Kill what became a child of this process when the base died, and reap it.

        Ours are known by their pid, or by the mark that they inherited in their environment.
        """
        deadline = self._loop.time() + _END_WITHIN
        doomed: set[int] = set()
        while self._loop.time() < deadline:
            marked = tree.with_environment(f"{PROJECT_VARIABLE}={self._options.project}")
            below = set(tree.children(os.getpid()))
            doomed |= below & {*marked, *self._pids.values()}
            if not doomed & below and not set(tree.descendants(os.getpid())) & set(marked):
                return
            for pid in doomed & below:
                for process in (*tree.descendants(pid), pid):
                    tree.kill(process)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - does not wait
            await asyncio.sleep(_PAUSE)


def _stopped(module: ModuleFile, error: ImportStopped, setup: str | None) -> ImportProblem:
    return ImportProblem(
        function=module.function,
        source=module.file,
        file=module.file,
        line=1,
        message=f"setup {setup}: {error.reason}" if setup and not error.file else error.reason,
        traceback="",
    )
