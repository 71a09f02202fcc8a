"""Executions that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from defer_client.models import Execution
from defer_emulator.operations.base import LocalBase

if TYPE_CHECKING:
    from defer_emulator.domain.insight import Children, Tree


class WorkflowOperations(Protocol):
    """Unknown ids have no relatives."""

    async def tree(self, execution_id: str, limit: int = 2_000) -> Tree:
        """An execution and all that it started, and they; cut at the lowest level."""

    async def children_by_state(self, execution_id: str) -> list[Children]:
        """How many it has started, of each function, by state; the oldest kind first."""

    async def ancestors(self, execution_id: str) -> list[Execution]:
        """Who started it, and who started that; the first of all first."""

    async def reruns(self, execution_id: str, limit: int = 20) -> list[Execution]:
        """The newest first."""


class LocalWorkflows(LocalBase):
    async def tree(self, execution_id: str, limit: int = 2_000) -> Tree:
        from defer_emulator.store import relatives

        with self._store.database.read() as connection:
            return relatives.tree(connection, execution_id, limit, self._store.project_id)

    async def children_by_state(self, execution_id: str) -> list[Children]:
        from defer_emulator.store import relatives

        with self._store.database.read() as connection:
            return relatives.children_by_state(connection, execution_id)

    async def ancestors(self, execution_id: str) -> list[Execution]:
        from defer_emulator.store import relatives

        with self._store.database.read() as connection:
            return relatives.ancestors(connection, execution_id, self._store.project_id)

    async def reruns(self, execution_id: str, limit: int = 20) -> list[Execution]:
        from defer_emulator.store import relatives

        with self._store.database.read() as connection:
            return relatives.reruns(connection, execution_id, limit, self._store.project_id)
