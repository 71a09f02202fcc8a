"""`LocalBackend`: calls go into the project's file, and whoever runs them finds them there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from defer_client.backend import running_loop
from defer_client.errors import (
    BackendError,
    CronInvocationError,
    DeadlockError,
    InvalidOption,
    ResultNotAvailable,
    ResultNotAvailableYet,
    ResultTimeout,
    UnknownFunction,
)
from defer_client.models import (
    Arguments,
    Attempt,
    Call,
    Execution,
    ExecutionFilters,
    Json,
    LogLine,
    Outcome,
    Page,
    PageOf,
    State,
)
from defer_client.options import check_metadata
from defer_client.wire import public_failure
from defer_emulator.clock import to_datetime, to_micros
from defer_emulator.domain.deadlock import find_cycle
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.ids import short_id
from defer_emulator.presence import Waker, is_alive, read_presence
from defer_emulator.store.listing import Wanted
from defer_emulator.store.rows import arguments_text
from defer_emulator.store.store import Store
from defer_emulator.store.transaction import BY_REQUEST, NewExecution, Transaction

if TYPE_CHECKING:
    import asyncio

    from defer_emulator.store.shared_writes import SharedWrites
    from defer_emulator.store.waiting import Watcher

_LATEST = to_micros(datetime(9990, 1, 1))  # so that a retry after it can still be written down


def open_backend(root: Path, parent: str | None = None) -> LocalBackend:
    """The backend of the project at `root`. `parent` is the id of the execution on whose behalf it calls.

    Raises `StateFileError`.
    """
    waker = Waker(root)
    return LocalBackend(Store.open(root), parent=parent, wake=waker, wake_later=waker.later)


class LocalBackend:
    """Implements `Backend` over a store. `wake` is called after every write, to tell the scheduler, but
    `wake_later` after a call that is not due yet; calls that come at the same time share a transaction where
    there are `shared` writes."""

    def __init__(
        self,
        store: Store,
        *,
        parent: str | None = None,
        wake: Callable[[], None],
        wake_later: Callable[[], None] | None = None,
        shared: SharedWrites | None = None,
    ) -> None:
        self._store = store
        self._shared = shared
        self._parent = parent
        self._wake = wake
        self._wake_later = wake_later or wake
        self._watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()

    @property
    def immediate(self) -> bool:
        """No method but `wait` suspends, unless writes are shared."""
        return self._shared is None

    # --- calls ------------------------------------------------------------------------------

    async def enqueue(
        self, call: Call, *, allow_cron: bool = False, faults: Faults | None = None
    ) -> Execution:
        """Store a call. When this returns, the execution survives any crash.

        A function that the file does not know is accepted: its execution waits. `allow_cron`: people may
        start a cron, applications may not; `faults` is what shall go wrong with it. Raises
        `CronInvocationError`, `UnknownFunction` for what cannot be a name, `NotSerializable`,
        `InvalidMetadata`, `InvalidOption`, `DeadlockError`, `StateFileError`.
        """
        if not call.function_name.isidentifier():
            raise UnknownFunction(f"{call.function_name[:80]!r} cannot be the name of a function")
        metadata, arguments = check_metadata(call.metadata), arguments_text(call.arguments)

        def store(tx: Transaction) -> Execution:
            function = tx.called_function(call.function_name)
            if function is not None and function["kind"] == "cron" and not allow_cron:
                raise CronInvocationError(
                    f"{call.function_name} is a cron: an application cannot start it",
                    hint=f"`defer run {call.function_name}` starts it on demand, in the project and without "
                    "DEFER_ENDPOINT",
                )
            if call.awaited and self._parent is not None and function is not None and function["concurrency"]:
                self._refuse_deadlock(tx, self._parent, call.function_name, function["concurrency"])
            discard_at = call.discard_after
            return tx.insert(
                NewExecution(
                    function=call.function_name,
                    arguments=arguments,
                    scheduled_at=_moment(call.delay, tx.now, "delay"),
                    discard_at=None if discard_at is None else _moment(discard_at, tx.now, "discard_after"),
                    metadata=metadata,
                    executed_by=self._parent,
                    awaited=call.awaited and self._parent is not None,
                    faults=faults,
                )
            )

        if self._shared is not None:
            execution = await self._shared.write(store)
        else:
            with self._store.write() as tx:
                execution = store(tx)
        is_due = execution.scheduled_at <= execution.created_at
        (self._wake if is_due else self._wake_later)()
        return execution

    def _refuse_deadlock(self, tx: Transaction, parent: str, function: str, concurrency: int) -> None:
        cycle = find_cycle(tx.waiting_ancestors(parent), function, concurrency)
        if cycle is not None:
            raise DeadlockError(
                f"{' → '.join(cycle)}: the last would wait for a place of {function!r} (concurrency"
                f" {concurrency}) that those who wait for it hold",
                hint="enqueue it without waiting, or raise its concurrency",
            )

    async def cancel_execution(self, execution_id: str, *, force: bool = False) -> Execution:
        """Raises `ExecutionNotFound`, `ExecutionNotCancellable`, `ExecutionAbortingAlreadyInProgress`."""
        with self._store.write() as tx:
            execution = tx.cancel(tx.require(execution_id), force=force, by=self._parent or BY_REQUEST)
        self._wake()
        return execution

    async def reschedule_execution(
        self, execution_id: str, when: timedelta | datetime | None = None
    ) -> Execution:
        """Move its due time; no time means now. Raises `ExecutionNotFound`, `ExecutionNotReschedulable`."""
        with self._store.write() as tx:
            execution = tx.reschedule(tx.require(execution_id), _moment(when, tx.now, "when"))
        self._wake()
        return execution

    async def rerun_execution(self, execution_id: str) -> Execution:
        """A new execution with the same function, arguments, metadata and parent, due now.

        Raises `ExecutionNotFound`.
        """
        with self._store.write() as tx:
            execution = tx.rerun(tx.require(execution_id, whole=True))
        self._wake()
        return execution

    # --- results ----------------------------------------------------------------------------

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        """Wait until an execution has ended. `timeout` is in seconds.

        Raises `ExecutionNotFound`, `ResultTimeout`.
        """
        _, outcome = self._store.get_outcome(execution_id)
        execution = outcome.execution
        if execution.state.is_final:
            return outcome
        try:
            return await self._watcher().wait(execution.id, timeout)
        except TimeoutError:
            raise _not_ended(execution, timeout) from None

    def _watcher(self) -> Watcher:
        from defer_emulator.store.waiting import Watcher

        loop = running_loop()
        watcher = self._watchers.get(loop)
        if watcher is None:
            watcher = self._watchers[loop] = Watcher(self._store, self._is_served)
        return watcher

    def _is_served(self) -> bool:
        root = self._store.root
        return root is None or is_alive(read_presence(root))

    async def get_execution_result(self, execution_id: str) -> Json:
        """The value of a succeeded execution; `{"name", "message", "stack", "code"}` of a failed one.

        Raises `ExecutionNotFound`, `ResultNotAvailableYet`, `ResultNotAvailable`.
        """
        execution, outcome = self._store.get_outcome(execution_id)
        failure = execution.error if isinstance(execution, Attempt) else outcome.failure
        if execution.state is State.SUCCEED:
            return outcome.result
        if execution.state is State.FAILED and failure is not None:
            return public_failure(failure)
        name = short_id(execution.id)
        if execution.state.is_final:
            raise ResultNotAvailable(f"execution {name} is {execution.state}: it has no result")
        raise ResultNotAvailableYet(f"execution {name} is {execution.state}: it has no result yet")

    # --- reading ----------------------------------------------------------------------------

    async def get_execution(self, execution_id: str) -> Execution:
        """An `Attempt` for an attempt's id. Raises `ExecutionNotFound`."""
        return self._store.get(execution_id)

    async def get_execution_arguments(self, execution_id: str) -> Arguments:
        """Raises `ExecutionNotFound`."""
        return self._store.get_arguments(execution_id)

    async def get_execution_logs(self, execution_id: str) -> list[LogLine]:
        """Oldest first; of one attempt when an attempt's id is given. Raises `ExecutionNotFound`."""
        return self._store.get_logs(execution_id)

    async def list_executions(self, page: Page, filters: ExecutionFilters) -> PageOf[Execution]:
        """Newest first. Raises `InvalidRequest` for an unknown cursor."""
        return self._store.list_executions(page, Wanted(filters=filters))

    async def list_execution_attempts(
        self, execution_id: str, page: Page, filters: ExecutionFilters
    ) -> PageOf[Attempt]:
        """Newest first. Raises `ExecutionNotFound`, `InvalidRequest`."""
        return self._store.list_attempts(execution_id, page, filters)

    async def now(self) -> datetime:
        """The emulator's clock, in UTC."""
        return to_datetime(self._store.now())


class ExecutionBackend(LocalBackend):
    """The backend inside of an execution that runs in the process of its scheduler.

    Its calls go straight into the file. Only its waits are the scheduler's business, which parks it: `ask`
    says how an execution ends.
    """

    def __init__(
        self, store: Store, *, parent: str, wake: Callable[[], None], ask: Callable[[str], Awaitable[Outcome]]
    ) -> None:
        super().__init__(store, parent=parent, wake=wake)
        self._ask = ask

    @property
    def waits_in_place(self) -> bool:
        """Never. Raises `BackendError` where blocking would stop the event loop that has to go on."""
        import asyncio

        with suppress(RuntimeError):  # there is none in this thread
            asyncio.get_running_loop()
            raise BackendError(
                "sync.await_result in a coroutine blocks the event loop that would run what it waits for",
                hint="await defer_client.await_result(...)(...) instead",
            )
        return False

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        """Raises `ExecutionNotFound`, `ResultTimeout`."""
        import asyncio

        execution = self._store.get(execution_id)
        try:
            return await asyncio.wait_for(self._ask(execution_id), timeout)
        except asyncio.TimeoutError:
            raise _not_ended(execution, timeout) from None


def _not_ended(execution: Execution, timeout: float | None) -> ResultTimeout:
    name = short_id(execution.id)
    return ResultTimeout(
        f"{execution.function_name} ({name}) has not ended within {timeout:g} s; it goes on",
        hint=f"`defer show {name}` shows where it is",
    )


def _moment(when: timedelta | datetime | None, now: int, option: str) -> int:
    """µs on the emulated clock. Raises `InvalidOption` where no calendar reaches."""
    if isinstance(when, datetime):
        moment = to_micros(when)
    else:
        moment = now + (timedelta() if when is None else when) // timedelta(microseconds=1)
    if not 0 <= moment <= _LATEST:
        raise InvalidOption(f"{option} must lie between the years 1970 and 9990, not {when!s:.60}")
    return moment
