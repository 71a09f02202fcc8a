"""What only the CLI and the console need, beside what a `Backend` offers applications. A topic is a module:
its part of the protocol, and the same over a project's file."""

from __future__ import annotations

from typing import Protocol

from defer_emulator.operations.clock import ClockOperations, ClockStatus, LocalClock
from defer_emulator.operations.executions import ExecutionOperations, LocalExecutions, Search
from defer_emulator.operations.functions import FunctionOperations, LocalFunctions

__all__ = ["ClockStatus", "LocalOperations", "Operations", "Search"]


class Operations(FunctionOperations, ExecutionOperations, ClockOperations, Protocol):
    """Implemented by `LocalOperations` over the same store as `LocalBackend`. None of its
    methods suspends."""

    async def project_id(self) -> str: ...


class LocalOperations(LocalFunctions, LocalExecutions, LocalClock):
    """`Operations` over a project's file. `wake` is called after every write, to tell the scheduler."""

    async def project_id(self) -> str:
        return self._store.project_id
