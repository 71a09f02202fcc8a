"""Looks over much of the file: lines of all logs, and how many executions match. A look takes a short while;
where that was not enough, it says so and how to go on."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import Any

from defer_client.errors import InvalidRequest
from defer_client.models import Page, State
from defer_emulator.clock import to_datetime
from defer_emulator.domain.insight import Count, FoundExecutions, FoundLine, LogPage, UsedArguments
from defer_emulator.store.listing import (
    Filter,
    Slice,
    Wanted,
    best_filter,
    ended_early,
    paginate,
    slice_statement,
    tests_of,
)
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import arguments_of, execution_of, text_of

_FIRST_BAND = 64  # executions that are looked at in one go; more and more of them while that is quick
_QUICK = 0.01  # seconds
_LEAST = 1e-9  # seconds: one look
_LONGEST_TEXT = 1_000  # characters that can be searched for
_EXCERPT, _BEFORE = 1_000, 200  # characters of a long line, and of those before what was found
_ARGUMENTS, _CALLS = 20_000, 300  # characters that can still be edited, and calls that are looked at


def bands(top: int, patience: float | None) -> Iterator[tuple[int, int]]:
    """Ranges of sequences from `top` downwards, both ends included; for about `patience` seconds."""
    begun = now = time.monotonic()
    size = _FIRST_BAND
    while top > 0 and (patience is None or now - begun < patience):
        low = max(1, top - size + 1)
        yield low, top
        top = low - 1
        before, now = now, time.monotonic()
        if now - before < _QUICK:
            size *= 4 if now - before < _QUICK / 4 else 2
        elif now - before > 2 * _QUICK:
            size = max(1, size // 2)


# --- logs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedLines:
    """A line that has all of this; what is left out matches everything."""

    text: str = ""
    functions: Sequence[str] = ()
    since: int | None = None  # µs
    stream: str | None = None
    execution_id: str | None = None
    attempt: int | None = None


Place = tuple[int, int, int]  # sequence, revision and line


def search_lines(
    connection: Connection, wanted: WantedLines, cursor: str | None, limit: int, patience: float | None
) -> LogPage:
    """Raises `InvalidRequest` for an unknown cursor and a text that is too long."""
    if len(wanted.text) > _LONGEST_TEXT:
        raise InvalidRequest(f"text: at most {_LONGEST_TEXT:,} characters can be searched for")
    newest: int = connection.execute(SQL["next_sequence"]).fetchone()[0] - 1
    before = (newest + 1, -1, -1) if cursor is None else _place(cursor)
    top = before[0] - 1 if before[1] < 0 else before[0]
    found: list[Row] = []
    low = top + 1
    for low, high in _looked_at(connection, wanted, min(top, newest), patience):
        values = _line_values(wanted, low, high, before, limit + 1 - len(found))
        found += connection.execute(SQL["search_logs"], values).fetchall()
        if len(found) > limit:
            break
    if len(found) > limit:
        last = found[limit - 1]
        after: Place | None = (last["sequence"], last["revision"], last["line"])
    else:
        after = (low, -1, -1) if low > 1 and wanted.execution_id is None else None
    reached = low if after is None else after[0]
    created = connection.execute(SQL["created_from"], (reached,)).fetchone()
    return LogPage(
        lines=_found_lines(connection, found[:limit]),
        cursor=None if after is None else _cursor(after),
        searched_to=None if created is None else to_datetime(created["created_at"]),
    )


def _looked_at(
    connection: Connection, wanted: WantedLines, top: int, patience: float | None
) -> Iterator[tuple[int, int]]:
    """The bands; of one execution, only its own number."""
    if wanted.execution_id is None:
        yield from bands(top, patience)
        return
    row = connection.execute(SQL["execution"], (wanted.execution_id,)).fetchone()
    if row is not None and row["sequence"] <= top:
        yield row["sequence"], row["sequence"]


def _line_values(wanted: WantedLines, low: int, high: int, before: Place, limit: int) -> dict[str, Any]:
    escaped = text_of(wanted.text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {
        "low": low,
        "high": high,
        "sequence": before[0],
        "revision": before[1],
        "line": before[2],
        "text": text_of(wanted.text),
        "like": f"%{escaped}%" if wanted.text else None,
        "functions": json.dumps(list(wanted.functions)) if wanted.functions else None,
        "since": wanted.since,
        "stream": wanted.stream,
        "attempt": wanted.attempt,
        "before": _BEFORE,
        "excerpt": _EXCERPT,
        "limit": limit,
    }


def _found_lines(connection: Connection, rows: Sequence[Row]) -> list[FoundLine]:
    sequences = json.dumps(list({row["sequence"] for row in rows}))
    owners = {row["sequence"]: row for row in connection.execute(SQL["owners"], (sequences,))}
    return [
        FoundLine(
            execution_id=owners[row["sequence"]]["id"],
            function=owners[row["sequence"]]["function"],
            attempt=row["attempt"],
            time=to_datetime(row["time"]),
            stream=row["stream"],
            message=row["excerpt"],
            cut=row["length"] - len(row["excerpt"]),
        )
        for row in rows
        if row["sequence"] in owners
    ]


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(cursor: str) -> Place:
    try:
        sequence, revision, line = json.loads(base64.urlsafe_b64decode(cursor))
        if all(type(part) is int and -1 <= part < 2**62 for part in (sequence, revision, line)):
            return sequence, revision, line
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass
    raise InvalidRequest(
        f"cursor: unknown cursor {cursor[:40]!r}",
        hint="take the cursor of an earlier page of the same search",
    )


# --- executions ---------------------------------------------------------------------------------


def search_executions(
    connection: Connection, page: Page, wanted: Wanted, project_id: str, patience: float | None
) -> FoundExecutions:
    """As `Store.list_executions`, but for about `patience` seconds: what is searched may lie far away.

    Raises `InvalidRequest` for an unknown cursor.
    """
    tests = tests_of(wanted)
    best = best_filter(wanted, lambda one: connection.execute(one.sql, one.values).fetchall()[0][0])
    newest: int = connection.execute(SQL["next_sequence"]).fetchone()[0] - 1
    reached: list[int] = []  # where the time was over
    begun = time.monotonic()

    def fetch(part: Slice) -> list[Row]:
        if not best.ordered:  # few
            statement = slice_statement(best, tests, part)
            return connection.execute(statement.sql, statement.values).fetchall()
        edge = 0 if part.newer else newest + 1
        bound = edge if part.bound is None else part.bound
        found: list[Row] = []
        end = bound
        # Never none: each page comes a little further.
        left = None if patience is None else max(patience - (time.monotonic() - begun), _LEAST)
        for low, high in bands(newest - bound if part.newer else bound - 1, left):
            first, end = (newest + 1 - high, newest + 1 - low) if part.newer else (high, low)
            step = -1 if part.newer else 1
            band = Slice(newer=part.newer, bound=first + step, limit=part.limit - len(found), until=end)
            statement = slice_statement(best, tests, band)
            found += connection.execute(statement.sql, statement.values).fetchall()
            if len(found) >= part.limit:
                return found
        if part.limit > 1 and (end < newest if part.newer else end > 1):
            reached.append(end)
        return found

    rows, info = paginate(page, "executions", fetch, lambda row: int(row["sequence"]))
    created = None
    if reached:
        created = connection.execute(SQL["created_from"], (reached[0],)).fetchone()
        info = ended_early(info, reached[0], "executions", newer=page.is_backward)
    return FoundExecutions(
        executions=[execution_of(row, project_id) for row in rows],
        page_info=info,
        searched_to=None if created is None else to_datetime(created["created_at"]),
    )


def count_executions(connection: Connection, wanted: Wanted, patience: float | None) -> Count:
    """How many match; at least how many, where `patience` did not suffice."""
    tests = tests_of(wanted)
    if tests.sql == "true":
        return Count(number=connection.execute(SQL["count_all"]).fetchone()[0], is_exact=True)
    best = best_filter(wanted, lambda one: connection.execute(one.sql, one.values).fetchall()[0][0])
    if not best.ordered:
        return Count(number=_count_between(connection, best, wanted, None), is_exact=True)
    newest: int = connection.execute(SQL["next_sequence"]).fetchone()[0] - 1
    number, low = 0, newest + 1
    for low, high in bands(newest, patience):
        number += _count_between(connection, best, wanted, (low, high))
    return Count(number=number, is_exact=low <= 1)


def _count_between(connection: Connection, best: Filter, wanted: Wanted, band: tuple[int, int] | None) -> int:
    tests, number = tests_of(wanted), 0
    inside = "true" if band is None else f"sequence BETWEEN {band[0]:d} AND {band[1]:d}"
    for part in best.ranges:
        statement = f"SELECT count(*) FROM {best.source} WHERE {part.sql} AND {inside} AND {tests.sql}"
        number += connection.execute(statement, (*part.values, *tests.values)).fetchone()[0]
    return number


def used_arguments(connection: Connection, function: str, limit: int) -> list[UsedArguments]:
    """Different arguments of its latest calls, newest first."""
    values = {"function": text_of(function), "longest": _ARGUMENTS, "limit": _CALLS}
    found: dict[str, UsedArguments] = {}
    for row in connection.execute(SQL["calls_of"], values):
        if row["arguments"] not in found:
            if len(found) >= limit:
                break
            found[row["arguments"]] = UsedArguments(
                execution_id=row["id"],
                state=State(row["state"]),
                created_at=to_datetime(row["created_at"]),
                arguments=arguments_of(row),
            )
    return list(found.values())
