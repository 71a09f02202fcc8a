"""Pages of executions and attempts: newest first, by a cursor, in both directions."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from defer_client.errors import InvalidRequest
from defer_client.models import ExecutionFilters, Interval, Page, PageInfo, PageOf
from defer_client.options import MAX_METADATA
from defer_emulator.clock import FIRST_MOMENT, LAST_MOMENT, to_micros
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import dumps, text_of

R = TypeVar("R")
T = TypeVar("T")

_SELECTIVE = 5_000  # rows: a filter that finds fewer is read to its end without a thought
_MOST_RANGES = 100  # of one statement
_NOTHING = "SELECT 1 WHERE false"


# --- pages --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A part of a list: `limit` rows next to `bound` (excluded; None: from the end), nearest first."""

    newer: bool  # on which side of the bound
    bound: int | None
    limit: int
    until: int | None = None  # the last number that is looked at


def paginate(
    page: Page, scope: str, fetch: Callable[[Slice], Sequence[R]], place: Callable[[R], int]
) -> tuple[list[R], PageInfo]:
    """The rows of a page, newest first. `fetch` gives slices of the filtered list, `place` the number
    that orders it; `scope` names the list, so that no cursor of another one is taken for its own.

    Raises `InvalidRequest` for an unknown cursor.
    """
    newer = page.is_backward
    bound = None if page.cursor is None else _decode(page, scope)
    rows = list(fetch(Slice(newer=newer, bound=bound, limit=page.size + 1)))
    ahead = len(rows) > page.size
    del rows[page.size :]
    if bound is None:
        behind = False
    elif rows:
        behind = bool(fetch(Slice(newer=not newer, bound=place(rows[0]), limit=1)))
    else:
        behind = bool(fetch(Slice(newer=not newer, bound=bound + (1 if newer else -1), limit=1)))
    if newer:
        rows.reverse()
    return rows, PageInfo(
        has_next_page=behind if newer else ahead,
        has_prev_page=ahead if newer else behind,
        start_cursor=_encode(place(rows[0]), scope) if rows else "",
        end_cursor=_encode(place(rows[-1]), scope) if rows else "",
    )


def ended_early(info: PageInfo, reached: int, scope: str, *, newer: bool) -> PageInfo:
    """The page of a search whose time was over: it goes on where that came to."""
    cursor = _encode(reached, scope)
    if newer:
        return replace(info, has_prev_page=True, start_cursor=cursor)
    return replace(info, has_next_page=True, end_cursor=cursor)


def mapped(rows: tuple[list[R], PageInfo], value: Callable[[R], T]) -> PageOf[T]:
    return PageOf(data=[value(row) for row in rows[0]], page_info=rows[1])


def _encode(place: int, scope: str) -> str:
    packed = place.to_bytes(8, "big")
    check = zlib.crc32(scope.encode() + packed).to_bytes(4, "big")
    return base64.urlsafe_b64encode(packed + check).decode()


def _decode(page: Page, scope: str) -> int:
    cursor = page.cursor or ""
    try:
        place = int.from_bytes(base64.urlsafe_b64decode(cursor)[:8], "big")
        if _encode(place, scope) == cursor:
            return place
    except (binascii.Error, ValueError):
        pass
    raise InvalidRequest(
        f"page.{'before' if page.is_backward else 'after'}: unknown cursor {cursor[:40]!r}",
        hint="take start_cursor or end_cursor of a page of the same list",
    )


# --- filters ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A piece of SQL that is true or false of an execution, and its parameters."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """All filters of a list, as the file can answer them. Times are µs."""

    filters: ExecutionFilters = field(default_factory=ExecutionFilters)
    functions: Sequence[str] | None = None  # names; none at all matches nothing
    created_from: int | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """One filter, in two forms: a test of any row, and the ranges of an index that hold what it finds."""

    test: Condition
    source: str  # the table with that index
    ranges: Sequence[Condition]
    ordered: bool  # each range comes in the order of creation: a page reads no more than it shows


_EVERYTHING = Filter(
    test=Condition(sql="true"),
    source="executions NOT INDEXED",
    ranges=[Condition(sql="true")],
    ordered=True,
)


def filters_of(wanted: Wanted) -> list[Filter]:
    """The filters that an index can answer; all but the text."""
    filters = wanted.filters
    found = [
        _equal("parent", "executed_by", [filters.executed_by] if filters.executed_by else None),
        *(_metadata(key, values) for key, values in filters.metadata.items() if values),
        _equal("error_code", "error_code", [code.value for code in filters.error_codes] or None),
        _equal("state", "state", [state.value for state in filters.states] or None),
        _equal("function", "function", wanted.functions),
        _between("scheduled_at", filters.scheduled_at),
        _between("started_at", filters.started_at),
        _between("created_at", _since(wanted.created_from)),
    ]
    return [one for one in found if one is not None]


def _equal(index: str, column: str, values: Sequence[str] | None) -> Filter | None:
    if values is None:
        return None
    return Filter(
        test=_among(f"executions.{column}", values),
        source=f"executions INDEXED BY executions_by_{index}",
        ranges=[Condition(sql=f"{column} = ?", values=(text_of(value),)) for value in dict.fromkeys(values)],
        ordered=True,
    )


def _among(column: str, values: Sequence[str]) -> Condition:
    return Condition(sql=f"{column} IN (SELECT value FROM json_each(?))", values=(_list(values),))


def _list(values: Sequence[str]) -> str:
    return text_of(dumps(list(values)))


def _metadata(key: str, values: Sequence[str]) -> Filter:
    one = "metadata.key = ? AND metadata.value"
    return Filter(
        test=Condition(
            sql="EXISTS (SELECT 1 FROM metadata WHERE metadata.sequence = executions.sequence"
            f" AND {one} IN (SELECT value FROM json_each(?)))",
            values=(text_of(key), _list(values)),
        ),
        source="metadata CROSS JOIN executions USING (sequence)",
        ranges=[
            Condition(sql=f"{one} = ?", values=(text_of(key), text_of(value)))
            for value in dict.fromkeys(values)
        ],
        ordered=True,
    )


def _since(moment: int | None) -> tuple[int | None, int | None] | None:
    return None if moment is None else (moment, None)


def _between(column: str, interval: Interval | tuple[int | None, int | None] | None) -> Filter | None:
    """Both ends are included. What has no time at all is outside."""
    if interval is None:
        return None
    if isinstance(interval, Interval):
        ends = [None if end is None else to_micros(end) for end in (interval.start, interval.end)]
    else:
        ends = list(interval)
    first, last = ends
    inside = Condition(
        sql=f"{column} IS NOT NULL AND {column} BETWEEN ? AND ?",
        values=(FIRST_MOMENT if first is None else first, LAST_MOMENT if last is None else last),
    )
    return Filter(
        test=inside,
        source=f"executions INDEXED BY executions_by_{column}",
        ranges=[inside],
        ordered=False,
    )


def tests_of(wanted: Wanted) -> Condition:
    """All filters at once."""
    tests = [one.test for one in filters_of(wanted)]
    if len(wanted.filters.metadata) > MAX_METADATA:
        return Condition(sql="false")  # nothing has so many pairs
    if wanted.text is not None:
        columns = ("executions.function", "arguments", "result", "failure")
        found = " OR ".join(f"instr(lower({column}), lower(?))" for column in columns)
        inner = text_of(dumps(wanted.text)[1:-1])  # as it stands inside JSON
        tests.append(Condition(sql=f"({found})", values=(inner,) * len(columns)))
    sql = " AND ".join(test.sql for test in tests) or "true"
    return Condition(sql=sql, values=tuple(value for test in tests for value in test.values))


# --- statements ---------------------------------------------------------------------------------


def best_filter(wanted: Wanted, count: Callable[[Condition], int]) -> Filter:
    """The filter to read by: the one that finds least. Where all find much, one that comes in order."""
    candidates = [one for one in filters_of(wanted) if len(one.ranges) <= _MOST_RANGES]
    best = next((one for one in candidates if one.ordered), _EVERYTHING)
    if len(candidates) == 1 and best is not _EVERYTHING:
        return best
    least = _SELECTIVE
    for candidate in candidates[:_MOST_RANGES]:
        found = count(_count_statement(candidate))
        if found < least:
            best, least = candidate, found
    return best


def _count_statement(one: Filter) -> Condition:
    """How many rows a filter finds, up to the number from which on it is all the same."""
    union = " UNION ALL ".join(f"SELECT 1 FROM {one.source} WHERE {part.sql}" for part in one.ranges)
    values = tuple(value for part in one.ranges for value in part.values)
    return Condition(sql=f"SELECT count(*) FROM ({union or _NOTHING} LIMIT {_SELECTIVE})", values=values)


def slice_statement(one: Filter, tests: Condition, part: Slice) -> Condition:
    """The rows of a slice: each range of the filter gives its nearest, and of those the nearest are taken."""
    direction = "ASC" if part.newer else "DESC"
    bound = "true" if part.bound is None else f"sequence {'>' if part.newer else '<'} {part.bound:d}"
    if part.until is not None:
        bound += f" AND sequence {'<=' if part.newer else '>='} {part.until:d}"
    end = f"ORDER BY sequence {direction} LIMIT {part.limit:d}"
    union = " UNION ALL ".join(
        f"SELECT * FROM (SELECT sequence FROM {one.source}"
        f" WHERE {inside.sql} AND {bound} AND {tests.sql} {end})"
        for inside in one.ranges
    )
    return Condition(
        sql=f"SELECT {SQL['summary']} FROM executions WHERE sequence IN ({union or _NOTHING}) {end}",
        values=tuple(value for inside in one.ranges for value in (*inside.values, *tests.values)),
    )
