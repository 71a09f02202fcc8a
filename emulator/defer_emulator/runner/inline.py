"""A pool without processes: attempts run in this one, in the event loop of their scheduler.

`async def` functions are tasks of that loop; plain ones run in threads, so that they may block. Nothing can
end code that does not yield here: aborts and deadlines act at an `await`, or at a call of the backend.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import importlib
import inspect
import json
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Protocol

from defer_client import wire
from defer_client.backend import Backend
from defer_client.current import CurrentExecution, executing
from defer_client.errors import BackendError
from defer_client.functions import DeferredFunction
from defer_client.models import Failure, Outcome
from defer_client.selection import set_execution_backend
from defer_client.serialization import check_json
from defer_emulator.domain.jobs import End, Job, JobEnd, PoolListener
from defer_emulator.runner.limits import timed_out
from defer_emulator.runner.output import AttemptOutput, Stream
from defer_emulator.workers.python.describe import find_function
from defer_emulator.workers.python.failures import failure_of_attempt
from defer_emulator.workers.python.traces import without_our_frames

_GRACE = 0.1  # seconds for tasks that a function did not wait for
_INSISTENCE = 0.1  # seconds after which one that swallows its cancellation is cancelled again

_attempt: ContextVar[InlineAttempt | None] = ContextVar("defer_inline_attempt", default=None)


class AttemptLost(BaseException):
    """Raised inside of an attempt whose emulator has crashed: no code of it shall run on."""


class BackendFor(Protocol):
    """Makes the backend of one execution. `ask` tells how an execution ends; it parks the one that asks."""

    def __call__(self, execution_id: str, ask: Callable[[str], Awaitable[Outcome]], /) -> Backend: ...


def imported_function(job: Job) -> DeferredFunction[..., Any]:
    """The function of a job, from its module. Raises what importing it raises."""
    return find_function(importlib.import_module(job.module), job.function)


def current_attempt() -> InlineAttempt | None:
    """The attempt that this code runs in, when it is one of an `InlinePool`."""
    return _attempt.get()


class InlinePool:
    """Implements the scheduler's port `Pool`.

    - `backend_for` makes the backend that an execution calls
    - `now` is the emulated time of output, µs
    - `find` gives the function of a job; what it raises is the attempt's failure
    - `before` is called in each attempt before its function; what it raises is the attempt's failure
    - `deadlines`: whether `max_duration` counts; not while somebody looks with a debugger

    Create and use it in the thread that runs the event loop.
    """

    generation = 1

    def __init__(
        self,
        listener: PoolListener,
        *,
        backend_for: BackendFor,
        now: Callable[[], int],
        find: Callable[[Job], DeferredFunction[..., Any]] = imported_function,
        before: Callable[[Job], None] = lambda _job: None,
        deadlines: bool = True,
        places: int = 1_000,
    ) -> None:
        self.listener = listener
        self.backend_for = backend_for
        self.now = now
        self.find = find
        self.before = before
        self.deadlines = deadlines
        self._places = places
        self._context = contextvars.copy_context()
        self._attempts: dict[int, InlineAttempt] = {}  # by sequence

    @property
    def room(self) -> int:
        return self._places - len(self._attempts)

    @property
    def is_flooded(self) -> bool:
        return False

    @property
    def unbegun(self) -> Collection[int]:
        return ()

    def want(self, backlog: int) -> None:
        """There is nothing to start."""

    def start(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_remembering)
        attempt = self._attempts[job.sequence] = InlineAttempt(self, job, loop)
        self._context.copy().run(attempt.begin)

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        attempt = self._attempts.get(sequence)
        if attempt is not None:
            attempt.answer(request, result, error)

    def kill(self, sequence: int) -> None:
        attempt = self._attempts.get(sequence)
        if attempt is not None:
            attempt.cancel("killed", None)

    def lose_all(self) -> None:
        """As when the process is killed: nothing that runs is heard of any more, and its calls fail."""
        for attempt in self._attempts.values():
            attempt.is_over = True
        self._attempts.clear()

    def ended(self, attempt: InlineAttempt, end: JobEnd) -> None:
        """From an attempt that is over."""
        if self._attempts.get(end.sequence) is attempt:
            del self._attempts[end.sequence]
            self.listener.on_end(end)


class InlineAttempt:
    """One run of a function in this process."""

    def __init__(self, pool: InlinePool, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.loop = loop
        self.is_over = False
        self.tasks: set[asyncio.Task[Any]] = set()  # all that the function has started, and its own
        self._pool = pool
        self._end: End | None = None  # why it was cancelled
        self._failure: Failure | None = None
        self._requests: dict[int, concurrent.futures.Future[Any]] = {}
        self._last_request = 0
        self._output = AttemptOutput(job.sequence, job.attempt)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_thread = False
        self._has_returned = False

    def begin(self) -> None:
        """Start it, in a context of its own."""
        _attempt.set(self)
        set_execution_backend(self._give_backend)
        self._backend = self._pool.backend_for(self.job.execution_id, self.ask)
        self._task = self.loop.create_task(self._run())
        if self._pool.deadlines:
            limit = self.job.max_duration
            self._deadline = self.loop.call_later(limit, self.cancel, "timed_out", timed_out(limit))

    def cancel(self, end: End, failure: Failure | None) -> None:
        """End it at its next `await`, again and again should it go on."""
        if self.is_over or self._has_returned:
            return
        if self._end is None:
            self._end, self._failure = end, failure
        if not self._in_thread:
            self._task.cancel()
        for future in tuple(self._requests.values()):
            future.cancel()
        self.loop.call_later(_INSISTENCE, self.cancel, end, failure)

    # --- running --------------------------------------------------------------------------

    async def _run(self) -> None:
        job = self.job
        result: str | None = None
        end: End = "returned"
        failure: Failure | None = None
        try:
            with executing(CurrentExecution(id=job.execution_id, attempt=job.attempt, function=job.function)):
                value = await self._value()
            result = json.dumps(check_json(value, "result"), ensure_ascii=False)
        except KeyboardInterrupt:
            raise  # whoever pressed the keys means the whole program
        except BaseException as error:
            without_our_frames(error)
            end, failure = "raised", failure_of_attempt(error)
        self._has_returned = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self.is_over:
            return  # it was lost
        await self._end_tasks()
        self.is_over = True
        self._pool.listener.on_output(self._output.finish(self._pool.now()))
        if self._end is not None:
            result, end, failure = None, self._end, self._failure
        ended = JobEnd(sequence=job.sequence, attempt=job.attempt, end=end, result=result, failure=failure)
        self._pool.ended(self, ended)

    async def _value(self) -> Any:
        self._pool.before(self.job)
        function = self._pool.find(self.job)
        arguments = json.loads(self.job.arguments)

        def call() -> Any:
            return function.local(*arguments["positional"], **arguments["keyword"])

        value = call() if inspect.iscoroutinefunction(function.original) else await self._in_a_thread(call)
        return await value if inspect.iscoroutine(value) else value

    async def _in_a_thread(self, call: Callable[[], Any]) -> Any:
        """Its result. A thread cannot be ended: who cancels this waits for it all the same."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                future.set_result(context.run(call))
            except BaseException as error:
                future.set_exception(error)

        self._in_thread = True
        threading.Thread(target=work, name=f"defer-{self.job.function}", daemon=True).start()
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._in_thread = False

    async def _end_tasks(self) -> None:
        """Cancel what the function has started and not waited for."""
        left = {task for task in self.tasks if not task.done() and task is not self._task}
        if not left:
            return
        for task in left:
            name = getattr(task.get_coro(), "__qualname__", repr(task))
            self._system(f"it left a task running, which was cancelled: {name}")
            task.cancel()
        await asyncio.wait(left, timeout=_GRACE)

    # --- what it asks ---------------------------------------------------------------------

    def _give_backend(self) -> Backend:
        if self.is_over:
            raise BackendError(
                f"{self.job.function} ({self.job.execution_id}) is over: code that it left behind"
                " cannot call anything",
                hint="wait for tasks and threads before the function returns",
            )
        return self._backend

    async def ask(self, execution_id: str) -> Outcome:
        """How an execution ended, from the scheduler, which parks this one meanwhile."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._last_request += 1
        number, listener, sequence = self._last_request, self._pool.listener, self.job.sequence
        self._requests[number] = future
        params = {"execution_id": execution_id}
        self.loop.call_soon_threadsafe(listener.on_request, sequence, number, "wait", params)
        try:
            return wire.outcome_from_json(await asyncio.wrap_future(future))
        except asyncio.CancelledError:
            self.loop.call_soon_threadsafe(listener.on_request_cancelled, sequence, number)
            raise
        finally:
            self._requests.pop(number, None)

    def answer(self, request: int, result: Any, error: Any) -> None:
        future = self._requests.pop(request, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(wire.error_from_json(error))

    # --- what it prints -------------------------------------------------------------------

    def printed(self, stream: Stream, text: str) -> None:
        """From any thread."""
        if self.is_over:
            return
        data = text.encode("utf-8", "backslashreplace")
        if asyncio._get_running_loop() is self.loop:
            self._store_output(stream, data)  # before the end, which may come next
        else:
            self.loop.call_soon_threadsafe(self._store_output, stream, data)

    def _store_output(self, stream: Stream, data: bytes) -> None:
        if chunks := self._output.feed(stream, data, self._pool.now()):
            self._pool.listener.on_output(chunks)

    def _system(self, message: str) -> None:
        self._pool.listener.on_output([self._output.system(message, self._pool.now())])


def _remembering(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **options: Any,
) -> asyncio.Task[Any]:
    """A task factory that knows whose task it is."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    attempt = _attempt.get()
    if attempt is not None:
        attempt.tasks.add(task)
        task.add_done_callback(attempt.tasks.discard)
    return task
