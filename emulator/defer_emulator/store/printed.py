"""What many executions printed, in the order in which it was written, from a place on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row

from defer_client.models import LogLine
from defer_emulator.store.listing import Condition, Wanted, tests_of
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import log_line_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Printed:
    """A line, and who printed it."""

    execution_id: str
    function: str
    line: LogLine


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """Lines in the order in which they were written. `position`: where to go on."""

    lines: Sequence[Printed]
    position: int


def lines_of(connection: Connection, ids: Sequence[str], *, since: int, last: int | None) -> Lines:
    """What these executions printed since a time in µs; the `last` lines of each, if that is given."""
    rows: list[Row] = []
    for row in connection.execute(SQL["numbers_of"], (json.dumps(list(ids)),)).fetchall():
        values = {"sequence": row["sequence"], "since": since, "limit": -1 if last is None else last}
        rows += connection.execute(SQL["last_logs"], values).fetchall()
    rows.sort(key=lambda row: (row["revision"], row["sequence"], row["line"]))
    return _lines(connection, rows)


def lines_after(connection: Connection, position: int, wanted: Wanted, ids: Sequence[str] | None) -> Lines:
    """What was printed after a position: by these executions, or by all that match."""
    tests = tests_of(wanted)
    chosen = (
        Condition(sql="true")
        if ids is None
        else Condition(
            sql="executions.id IN (SELECT value FROM json_each(?))", values=(json.dumps(list(ids)),)
        )
    )
    statement = (
        SQL["logs_after"]
        + f" AND {chosen.sql} AND {tests.sql} ORDER BY logs.revision, logs.sequence, logs.line"
    )
    values = (position, position, *chosen.values, *tests.values)
    return _lines(connection, connection.execute(statement, values).fetchall())


def _lines(connection: Connection, rows: Sequence[Row]) -> Lines:
    """All of it from one state of the file: what is written later has a greater position."""
    position: int = connection.execute(SQL["project"]).fetchone()["revision"]
    return Lines(
        lines=[
            Printed(execution_id=row["id"], function=row["function"], line=log_line_of(row)) for row in rows
        ],
        position=position,
    )
