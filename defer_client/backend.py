"""The hinge of the product: what a backend offers to applications, one method for each use case."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from defer_client.errors import BackendError
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
)

if TYPE_CHECKING:
    import asyncio


class Backend(Protocol):
    """Where calls go.

    Implemented by `LocalBackend` (the project's file), `WorkerBackend` (inside an execution) and
    `HttpBackend` (an endpoint). An attempt's id is accepted wherever an execution is read.
    """

    @property
    def immediate(self) -> bool:
        """Whether every method but `wait` finishes without suspending, so that no event loop is needed."""

    async def enqueue(self, call: Call) -> Execution:
        """Store a call. When this returns, the execution survives any crash.

        Raises `UnknownFunction`, `CronInvocationError`, `InvalidArguments`, `DeadlockError`,
        `StateFileError`, `BackendError`.
        """

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        """Wait until an execution has ended. `timeout` is in seconds.

        Raises `ExecutionNotFound`, `ResultTimeout`.
        """

    async def get_execution(self, execution_id: str) -> Execution:
        """Raises `ExecutionNotFound`."""

    async def get_execution_result(self, execution_id: str) -> Json:
        """The value of a succeeded execution; `{"name", "message", "stack", "code"}` of a failed one.

        Raises `ExecutionNotFound`, `ResultNotAvailableYet`, `ResultNotAvailable`.
        """

    async def get_execution_arguments(self, execution_id: str) -> Arguments:
        """Raises `ExecutionNotFound`."""

    async def get_execution_logs(self, execution_id: str) -> list[LogLine]:
        """What it printed, oldest first; of one attempt when an attempt's id is given.

        Raises `ExecutionNotFound`.
        """

    async def list_executions(self, page: Page, filters: ExecutionFilters) -> PageOf[Execution]:
        """Newest first. Raises `InvalidRequest` for an unknown cursor."""

    async def list_execution_attempts(
        self, execution_id: str, page: Page, filters: ExecutionFilters
    ) -> PageOf[Attempt]:
        """Newest first. Raises `ExecutionNotFound`, `InvalidRequest`."""

    async def cancel_execution(self, execution_id: str, *, force: bool = False) -> Execution:
        """Raises `ExecutionNotFound`, `ExecutionNotCancellable`, `ExecutionAbortingAlreadyInProgress`."""

    async def reschedule_execution(
        self, execution_id: str, when: timedelta | datetime | None = None
    ) -> Execution:
        """Move its due time; no time means now.

        Raises `ExecutionNotFound`, `ExecutionNotReschedulable`.
        """

    async def rerun_execution(self, execution_id: str) -> Execution:
        """A new execution with the same function, arguments, metadata and parent, due now.

        Raises `ExecutionNotFound`.
        """

    async def now(self) -> datetime:
        """The emulator's clock, in UTC."""


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop that a backend waits in. Raises `BackendError` where asyncio runs none."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise BackendError(
            "this call waits in asyncio's event loop, and none runs here",
            hint="under another one, such as trio's, use defer_client.sync in a thread of its own",
        ) from None
