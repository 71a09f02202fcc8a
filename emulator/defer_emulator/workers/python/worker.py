"""The worker: one execution after another, one at a time, in a process of its own."""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import importlib
import inspect
import json
import os
import random
import socket
import sys
import time
from io import TextIOWrapper
from typing import Any, NoReturn

from defer_client import wire
from defer_client.current import CurrentExecution, executing
from defer_client.errors import InjectedFailure
from defer_client.selection import set_worker_backend
from defer_client.serialization import check_json
from defer_emulator.runner.frames import VERSION, JsonObject, Load, Raised, Ready, Returned, Run
from defer_emulator.workers import tree
from defer_emulator.workers.python.backend import WorkerBackend
from defer_emulator.workers.python.channel import Channel
from defer_emulator.workers.python.debugging import say_goodbye, wait_for_debugger
from defer_emulator.workers.python.describe import find_function
from defer_emulator.workers.python.environment import call_hook, prepare
from defer_emulator.workers.python.failures import failure_of_attempt
from defer_emulator.workers.python.printing import Printing, flush
from defer_emulator.workers.python.tidy import CountingExecutor, Tidier, end_tasks
from defer_emulator.workers.python.traces import without_our_frames


def forked(end: socket.socket, queue: socket.socket, load: Load) -> NoReturn:
    """Work in a process that a generation has forked: the code is imported already."""
    trouble: BaseException | None = None
    try:
        call_hook(load.after_fork)
    except BaseException as error:
        trouble = error
    _reseed_numpy()
    Worker(Channel(end, queue), trouble).serve()


def spawned(descriptor: int, queue: int) -> NoReturn:
    """Work in a fresh interpreter, with the code as it is now: what is saved later is not for this one."""
    faulthandler.enable()
    tree.become_subreaper()
    channel = Channel(socket.socket(fileno=descriptor), socket.socket(fileno=queue))
    for end in (descriptor, queue):
        os.set_inheritable(end, False)
    trouble: BaseException | None = None
    try:
        load = channel.load()
        prepare(load)
        _import_all(load)
    except BaseException as error:
        trouble = error
    Worker(channel, trouble).serve()


class Worker:
    """Takes jobs from its channel. `trouble`: a hook of the project has failed, and so does every job."""

    def __init__(self, channel: Channel, trouble: BaseException | None) -> None:
        _open_streams()
        self._channel = channel
        self._trouble = trouble
        self._pid = os.getpid()
        self._endpoint = os.environ.get("DEFER_ENDPOINT", "")  # the project's own choice for its programs
        self._functions: dict[tuple[str, str], Any] = {}
        self._tidier = Tidier()
        self._printing = Printing()
        self._executor = CountingExecutor()
        self._loop = self._new_loop()
        set_worker_backend(WorkerBackend(channel))
        os.register_at_fork(after_in_child=channel.abandon)

    def serve(self) -> NoReturn:
        self._channel.send(Ready(version=VERSION, pid=self._pid))
        while True:
            ended = self._run(self._channel.next_job())
            self._channel.send(ended)
            if ended.leaving:
                os._exit(0)

    def _run(self, run: Run) -> Returned | Raised:
        self._introduce(run)
        self._tidier.begin()
        begun = time.perf_counter()
        result, failure = contextvars.copy_context().run(self._outcome, run)
        if os.getpid() != self._pid:  # the function has forked, and this is the child: not ours to report
            flush()
            os._exit(0 if failure is None else 1)
        seconds = time.perf_counter() - begun
        if run.debug_port:
            say_goodbye()
        notes, stuck = self._end_tasks()
        more, replace = self._tidier.end()
        leaving = stuck or replace or bool(run.debug_port) or self._executor.is_busy()
        flush()
        notes += more
        marked = bool(run.mark) and not leaving and self._printing.mark(run.mark)
        if failure is None:
            return Returned(result=result, seconds=seconds, marked=marked, notes=notes, leaving=leaving)
        return Raised(failure=failure, seconds=seconds, marked=marked, notes=notes, leaving=leaving)

    def _introduce(self, run: Run) -> None:
        """Let every program that the execution starts call the emulator, as that execution."""
        os.environ["DEFER_EXECUTION_TOKEN"] = run.token
        if run.endpoint and (not self._endpoint or _is_same(self._endpoint, run.endpoint)):
            os.environ["DEFER_ENDPOINT"] = run.endpoint
            os.environ["DEFER_TOKEN"] = run.token

    def _outcome(self, run: Run) -> tuple[str, JsonObject | None]:
        current = CurrentExecution(id=run.execution_id, attempt=run.attempt, function=run.function)
        try:
            with executing(current, alone=True):
                value = self._call(run)
            return json.dumps(check_json(value, "result"), ensure_ascii=False), None
        except BaseException as error:
            without_our_frames(error)
            return "", wire.failure_to_json(failure_of_attempt(error))

    def _call(self, run: Run) -> Any:
        if self._trouble is not None:
            raise self._trouble
        function = self._functions.get((run.module, run.function))
        if function is None:
            function = find_function(importlib.import_module(run.module), run.function)
            self._functions[run.module, run.function] = function
        if run.debug_port:
            wait_for_debugger(run.debug_port)
        if run.slow:
            time.sleep(run.slow)
        if run.fail:
            raise InjectedFailure(run.fail)
        arguments = json.loads(run.arguments)
        value = function.local(*arguments["positional"], **arguments["keyword"])
        if inspect.iscoroutine(value):
            if self._loop.is_closed():
                self._loop = self._new_loop()
            return self._loop.run_until_complete(value)
        return value

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_default_executor(self._executor)
        asyncio.set_event_loop(loop)
        return loop

    def _end_tasks(self) -> tuple[list[str], bool]:
        return ([], False) if self._loop.is_closed() else end_tasks(self._loop)


def _is_same(endpoint: str, own: str) -> bool:
    """Whether a project's endpoint is that of its own emulator."""
    return endpoint.strip().rstrip("/").replace("://localhost:", "://127.0.0.1:") == own


def _import_all(load: Load) -> None:
    for module, _, _ in load.modules:
        try:
            importlib.import_module(module)
        except BaseException:  # the load has said it, and a job of that function says it again
            pass


def _open_streams() -> None:
    """Lines go out as they are printed, whatever the project's imports did to `sys.stdout`."""
    for name, original in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        stream = original
        if not isinstance(stream, TextIOWrapper) or stream.closed:
            stream = TextIOWrapper(os.fdopen(1 if name == "stdout" else 2, "wb", closefd=False))
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)


def _reseed_numpy() -> None:
    """Its global generator is copied by a fork, unlike that of `random`."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(random.SystemRandom().randrange(2**32))
