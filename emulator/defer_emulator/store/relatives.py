"""Executions that belong together: by who started whom, and what was run again."""

from __future__ import annotations

from sqlite3 import Connection

from defer_client.models import Execution, State
from defer_emulator.domain.insight import Children, Tree
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import execution_of

_DEEPEST = 1_000  # ancestors


def tree(connection: Connection, execution_id: str, limit: int, project_id: str) -> Tree:
    """An execution and what it started, and they, oldest first; at most `limit`, cut at the lowest level."""
    rows = connection.execute(SQL["workflow"], {"id": execution_id, "limit": limit + 1}).fetchall()
    return Tree(
        executions=[execution_of(row, project_id) for row in rows[:limit]],
        awaited=frozenset(row["id"] for row in rows if row["priority"] > 0),
        is_cut=len(rows) > limit,
    )


def children_by_state(connection: Connection, execution_id: str) -> list[Children]:
    """How many an execution has started, of each function, by state."""
    return [
        Children(
            function=row["function"], state=State(row["state"]), count=row["count"], latest=row["latest"]
        )
        for row in connection.execute(SQL["children_by_state"], (execution_id,))
    ]


def ancestors(connection: Connection, execution_id: str, project_id: str) -> list[Execution]:
    """Who started it, and who started that, as far up as they are stored; the first of all first."""
    rows = connection.execute(SQL["ancestors"], {"id": execution_id, "limit": _DEEPEST}).fetchall()
    return [execution_of(row, project_id) for row in rows]


def reruns(connection: Connection, execution_id: str, limit: int, project_id: str) -> list[Execution]:
    """The executions that are reruns of it, newest first."""
    return [execution_of(row, project_id) for row in connection.execute(SQL["reruns"], (execution_id, limit))]
