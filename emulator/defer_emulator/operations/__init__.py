"""What only the CLI and the console need, beside what a `Backend` offers applications. A topic is a module:
its part of the protocol, and the same over a project's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from defer_emulator.operations.clock import ClockOperations, ClockStatus, LocalClock
from defer_emulator.operations.executions import ExecutionOperations, LocalExecutions, Search
from defer_emulator.operations.functions import FunctionOperations, LocalFunctions
from defer_emulator.operations.insight import InsightOperations, LocalInsight
from defer_emulator.operations.logs import LocalLogs, LogOperations
from defer_emulator.operations.outbox import LocalOutbox, OutboxOperations
from defer_emulator.operations.workflows import LocalWorkflows, WorkflowOperations

if TYPE_CHECKING:
    from defer_emulator.operations.live import Live

__all__ = ["ClockStatus", "LocalOperations", "Operations", "Search"]


class Operations(
    FunctionOperations,
    ExecutionOperations,
    LogOperations,
    ClockOperations,
    InsightOperations,
    OutboxOperations,
    WorkflowOperations,
    Protocol,
):
    """Implemented by `LocalOperations` over the same store as `LocalBackend`. Outside of an emulator none of
    its methods suspends."""

    @property
    def live(self) -> Live:
        """What the emulator says while it runs; outside of one, nothing ever."""

    async def project_id(self) -> str: ...

    async def revision(self) -> int:
        """The number of the latest write to the file, whoever wrote it: older answers may be out of date."""


class LocalOperations(
    LocalFunctions, LocalExecutions, LocalLogs, LocalClock, LocalInsight, LocalOutbox, LocalWorkflows
):
    """`Operations` over a project's file; see `LocalBase` for what it is made of."""

    @property
    def live(self) -> Live:
        if self._live is None:
            from defer_emulator.operations.live import Live

            self._live = Live()
        return self._live

    async def project_id(self) -> str:
        return self._store.project_id

    async def revision(self) -> int:
        return self._store.revision()
