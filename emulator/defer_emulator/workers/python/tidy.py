"""What an execution leaves behind in its process: restored where it can be, else the process is replaced."""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread
import contextlib
import gc
import os
import random
import resource
import signal
import sys
import threading
import time
from typing import Any

from defer_emulator.workers import tree
from defer_emulator.workers.python.channel import READER_THREAD

_GRACE = 0.1  # seconds for tasks and threads that are about to end
_LOOK_AGAIN = 0.002  # seconds
_EXECUTOR_THREAD = "defer-executor"
_POOL_THREAD = concurrent.futures.thread._worker.__code__  # what a pool's thread is in while it has no work
_POOLS: Any = concurrent.futures.thread._threads_queues  # the work that waits for a pool's thread
_MOST_THREADS = 64  # that may idle in a process
_SIGNALS = tuple(
    getattr(signal, name)
    for name in (
        "SIGINT",
        "SIGTERM",
        "SIGHUP",
        "SIGQUIT",
        "SIGUSR1",
        "SIGUSR2",
        "SIGALRM",
        "SIGCHLD",
        "SIGPIPE",
    )
)
_raw = getattr(signal, "_signal", signal)  # gives no enums: 1 µs for all, not 11
_getsignal, _sigmask = _raw.getsignal, _raw.pthread_sigmask
_LIMITS = tuple(
    getattr(resource, name)
    for name in ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CPU", "RLIMIT_FSIZE")
    if hasattr(resource, name)
)


class CountingExecutor(concurrent.futures.ThreadPoolExecutor):
    """An event loop's default executor that knows whether its threads work."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix=_EXECUTOR_THREAD)
        self._running: set[concurrent.futures.Future[Any]] = set()

    def submit(self, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future = super().submit(*args, **kwargs)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def is_busy(self) -> bool:
        """Whether a call still runs, or waits, after a moment's grace."""
        running = tuple(self._running)
        return bool(running and concurrent.futures.wait(running, timeout=_GRACE).not_done)


class Tidier:
    """Compares the process with what it was, after each execution, in a few microseconds."""

    def __init__(self) -> None:
        self._environment: Any = getattr(os.environ, "_data", {})  # a comparison of it costs 1 µs
        self._directory = os.getcwd()
        self._streams = (sys.stdout, sys.stderr)
        self._pipes = _pipes()
        self._handlers = _handlers()
        self._threads = set(threading.enumerate())
        self._mask = os.umask(0)
        os.umask(self._mask)
        self._blocked = _sigmask(signal.SIG_BLOCK, ())
        self._limits = _limits()
        self._recursion = sys.getrecursionlimit()
        self._collects = gc.isenabled()

    def begin(self) -> None:
        """An execution is about to start."""
        self._before = dict(self._environment)
        self._path = list(sys.path)
        random.seed(int.from_bytes(os.urandom(8), "little"))  # half the time of `seed()`

    def end(self) -> tuple[list[str], bool]:
        """The execution is over. Notes for its log, and whether the process must be replaced."""
        notes: list[str] = []
        replace = not self._restore()
        replace = self._children_left(notes) or replace
        replace = self._threads_left(notes) or replace
        return notes, self._pipes_changed() or replace

    def _restore(self) -> bool:
        """Whether all of it is as it was."""
        if self._environment != self._before:
            for key in {*self._environment, *self._before}:
                name = os.fsdecode(key)
                if key in self._before:
                    os.environ[name] = os.fsdecode(self._before[key])
                else:
                    os.environ.pop(name, None)
        if sys.path != self._path:
            sys.path[:] = self._path
        os.umask(self._mask)
        self._restore_interpreter()
        signal.setitimer(signal.ITIMER_REAL, 0)
        handlers = _handlers()
        if handlers != self._handlers:
            for number, now, then in zip(_SIGNALS, handlers, self._handlers, strict=True):
                if now != then and then is not None:
                    signal.signal(number, then)
        if _sigmask(signal.SIG_BLOCK, ()) != self._blocked:
            _sigmask(signal.SIG_SETMASK, self._blocked)
        return self._return_home() and _limits() == self._limits

    def _restore_interpreter(self) -> None:
        sys.setrecursionlimit(self._recursion)
        if gc.isenabled() != self._collects:
            (gc.enable if self._collects else gc.disable)()

    def _return_home(self) -> bool:
        """Whether the working directory is what it was."""
        try:
            moved = os.getcwd() != self._directory
        except OSError:  # it was deleted
            moved = True
        try:
            if moved:
                os.chdir(self._directory)
        except OSError:
            return False
        return True

    def _children_left(self, notes: list[str]) -> bool:
        """End processes that the execution has started and not waited for."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # it had ended, unread
            for pid in tree.children(os.getpid()):
                command = tree.command(pid)
                # A helper of multiprocessing, which leaves it running, or of a debugger.
                if "from multiprocessing." not in command and "debugpy" not in command:
                    notes.append(f"it left a process running, which was ended: {command} (pid {pid})")
            tree.end_children()
            return True
        return False

    def _threads_left(self, notes: list[str]) -> bool:
        known = self._threads  # without those of the project's pools, which are looked at each time
        if threading.active_count() == len(known) and all(thread.is_alive() for thread in known):
            return False
        deadline = time.monotonic() + _GRACE
        replace = False
        alive = set(threading.enumerate())
        for thread in alive - known:
            if thread.name == READER_THREAD or thread.name.startswith(_EXECUTOR_THREAD):
                known.add(thread)
            elif not _ends_or_idles(thread, deadline):
                replace = True
                if not thread.daemon:
                    notes.append(f"it left a thread running, which was ended: {thread.name}")
        known &= alive
        return replace or len(alive) > _MOST_THREADS

    def _pipes_changed(self) -> bool:
        """Whether output would not arrive any more."""
        sys.stdout, sys.stderr = self._streams
        try:
            os.set_blocking(1, True)
            os.set_blocking(2, True)
        except OSError:  # closed
            return True
        return _pipes() != self._pipes or any(stream is None or stream.closed for stream in self._streams)


def _ends_or_idles(thread: threading.Thread, deadline: float) -> bool:
    """Whether it ends, or waits for work in a pool that the project keeps, as Django does."""
    while thread.is_alive():
        frame, work = sys._current_frames().get(thread.ident or 0), _POOLS.get(thread)
        if frame is not None and frame.f_code is _POOL_THREAD and work is not None and work.empty():
            return True
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return False
        thread.join(min(remaining, _LOOK_AGAIN))
    return True


def end_tasks(loop: asyncio.AbstractEventLoop) -> tuple[list[str], bool]:
    """Cancel tasks that an execution did not wait for. Notes, and whether some could not be ended."""
    tasks = asyncio.all_tasks(loop)
    if not tasks:
        return [], False
    notes = [f"it left a task running, which was cancelled: {_name(task)}" for task in tasks]
    for task in tasks:
        task.cancel()
    try:
        _, pending = loop.run_until_complete(asyncio.wait(tasks, timeout=_GRACE))
    except BaseException:  # a task that exits when it is cancelled
        return notes, True
    return notes, bool(pending)


def _name(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", None) or repr(coroutine)


def _pipes() -> tuple[tuple[int, int], ...] | None:
    try:
        return tuple((status.st_dev, status.st_ino) for status in (os.fstat(1), os.fstat(2)))
    except OSError:
        return None


def _limits() -> tuple[tuple[int, int], ...]:
    return tuple([resource.getrlimit(limit) for limit in _LIMITS])


def _handlers() -> tuple[Any, ...]:
    return tuple([_getsignal(number) for number in _SIGNALS])
