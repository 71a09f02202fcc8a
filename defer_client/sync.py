"""All names of `defer_client` for code without an event loop: the same functions, blocking.

>>> from defer_client import sync
>>> sync.await_result(add, timeout=30)(1, 2)  # doctest: +SKIP
3
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, overload

from defer_client import executions, functions
from defer_client.current import current_execution
from defer_client.functions import (
    DeferredFunction,
    add_metadata,
    assign_options,
    defer,
    delay,
    discard_after,
)
from defer_client.options import DurationOption
from defer_client.selection import current_backend, defer_enabled

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
R = TypeVar("R")


def run(coroutine: Coroutine[Any, Any, R], *, immediate: bool = False) -> R:
    """Run a coroutine of this package to its end, from any thread, even one that runs an event loop.

    `immediate`: it never suspends, so that neither a loop nor a thread is needed.
    """
    if immediate:
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: R = end.value
            return result
        coroutine.close()
        raise RuntimeError("a backend that says it is immediate has suspended")
    import asyncio

    loop = _kept_loop()
    if loop.thread is threading.current_thread() or _kept_loop_waits.get():
        return _in_another_thread(coroutine)
    future = asyncio.run_coroutine_threadsafe(coroutine, loop.loop)
    try:
        return future.result()
    except BaseException:  # Ctrl-C: nobody waits any more
        future.cancel()
        raise


def blocking(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """The blocking face of a function that asks the backend one thing."""

    @functools.wraps(function)
    def face(*args: P.args, **kwargs: P.kwargs) -> R:
        immediate = current_backend().immediate  # before there is a coroutine that nobody would await
        return run(function(*args, **kwargs), immediate=immediate)

    return face


get_execution = blocking(executions.get_execution)
get_execution_result = blocking(executions.get_execution_result)
get_execution_arguments = blocking(executions.get_execution_arguments)
get_execution_logs = blocking(executions.get_execution_logs)
list_executions = blocking(executions.list_executions)
list_execution_attempts = blocking(executions.list_execution_attempts)
cancel_execution = blocking(executions.cancel_execution)
reschedule_execution = blocking(executions.reschedule_execution)
rerun_execution = blocking(executions.rerun_execution)
now = blocking(executions.now)


@overload
def await_result(
    function: DeferredFunction[P, Coroutine[Any, Any, R]], /, timeout: DurationOption | None = None
) -> Callable[P, R]: ...


@overload
def await_result(
    function: DeferredFunction[P, R], /, timeout: DurationOption | None = None
) -> Callable[P, R]: ...


def await_result(function: Any, /, timeout: DurationOption | None = None) -> Any:
    """As `defer_client.await_result`, but its calls block."""
    call_and_wait: Callable[..., Any] = functions.await_result(function, timeout)

    @functools.wraps(call_and_wait)
    def face(*args: Any, **kwargs: Any) -> Any:
        backend = current_backend(function._source)
        in_place = getattr(backend, "waits_in_place", False)  # of one that runs executions itself, meanwhile
        return run(call_and_wait(*args, **kwargs), immediate=in_place)

    return face


# --- one event loop for a process, in a thread of its own ------------------------------------


class _Loop(NamedTuple):
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread


_loop: _Loop | None = None
_lock = threading.Lock()
_kept_loop_waits = ContextVar("defer_kept_loop_waits", default=False)  # for the code that looks


def _kept_loop() -> _Loop:
    """Kept, because connections belong to the loop that opened them."""
    global _loop
    with _lock:
        if _loop is None:
            import asyncio

            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_run_on, args=(loop,), name="defer-sync", daemon=True)
            thread.start()
            _loop = _Loop(loop, thread)
        return _loop


def _run_on(loop: asyncio.AbstractEventLoop) -> None:
    """For ever. What a function raises goes to who waits for it, but these end `run_forever` too."""
    while not loop.is_closed():
        with suppress(KeyboardInterrupt, SystemExit):
            loop.run_forever()


def _in_another_thread(coroutine: Coroutine[Any, Any, R]) -> R:
    """For blocking code that the kept loop itself runs: waiting for it there would wait for ever."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    context = copy_context()
    context.run(_kept_loop_waits.set, True)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(context.run, asyncio.run, coroutine).result()


def _forget_loop() -> None:
    """In a forked child the thread does not exist, and somebody may have held the lock."""
    global _loop, _lock
    _loop = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_loop)

__all__ = [
    "add_metadata",
    "assign_options",
    "await_result",
    "cancel_execution",
    "current_execution",
    "defer",
    "defer_enabled",
    "delay",
    "discard_after",
    "get_execution",
    "get_execution_arguments",
    "get_execution_logs",
    "get_execution_result",
    "list_execution_attempts",
    "list_executions",
    "now",
    "rerun_execution",
    "reschedule_execution",
    "run",
]
