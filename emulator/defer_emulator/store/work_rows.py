"""Rows of the project's file → what its scheduler works with."""

from __future__ import annotations

from collections.abc import Iterable
from sqlite3 import Row

from defer_client.models import State
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.work import Change, Running
from defer_emulator.store.rows import Columns


def change_of(row: Columns) -> Change:
    return Change(
        sequence=row["sequence"],
        id=row["id"],
        function=row["function"],
        state=State(row["state"]),
        attempt=row["attempt"],
        scheduled_at=row["scheduled_at"],
    )


def changes_of(rows: Iterable[Row]) -> list[Change]:
    return [change_of(row) for row in rows]


def running_of(row: Row, faults: Faults | None = None) -> Running:
    return Running(
        sequence=row["sequence"],
        id=row["id"],
        function=row["function"],
        attempt=row["attempt"],
        state=State(row["state"]),
        arguments=row["arguments"],
        executed_by=row["executed_by"],
        awaited=row["priority"] > 0,
        faults=faults,
    )
