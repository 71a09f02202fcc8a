"""The claim: which due executions start now, decided inside the transaction that starts them.

Its cost depends on how many functions have something to start and on how much is started, not on how
much waits or is stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import NamedTuple

from defer_emulator.domain.faults import faults_from_text
from defer_emulator.domain.work import Change, Claim, Limits, Running
from defer_emulator.store.queries import SQL
from defer_emulator.store.work_rows import changes_of, running_of

BACKLOG = 128  # a longer one is not counted
CANCELLED_AT_ONCE = 1_000  # a longer queue beyond a limit is cancelled over several claims


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """What waits of one function with one priority (0, or the depth of children whose parents wait)."""

    function: str
    priority: int
    first_due: int


class Candidate(NamedTuple):
    """An execution that is due and has a place in its function's limit. There may be thousands."""

    function: str
    priority: int
    scheduled_at: int
    sequence: int


class Claiming:
    """One claim in an open transaction. `now` is emulated; both numbers are stamped on what is started."""

    def __init__(
        self, connection: Connection, *, now: int, revision: int, limits: Mapping[str, Limits]
    ) -> None:
        self._connection = connection
        self._now = now
        self._revision = revision
        self._limits = limits

    def claim(self, places: int, generation: int) -> Claim:
        paused = {row[0] for row in self._connection.execute(SQL["paused_functions"])}
        groups = [
            Group(function=row[0], priority=row[1], first_due=row[2])
            for row in self._connection.execute(SQL["pending_groups"])
            if row[0] in self._limits and row[0] not in paused
        ]
        due = [group for group in groups if group.first_due <= self._now]
        room = {group.function: self._room(group.function) for group in due}
        candidates = [found for group in due for found in self._candidates(group, places, room)]
        chosen = choose(candidates, room, places, fifo=self._fifo())
        for candidate in chosen:
            room[candidate.function] = _less(room[candidate.function], 1)
        started = self._start(chosen, generation)
        cancelled = self._cancel_beyond_limits(due, room)
        backlog = self._backlog(due, room) if len(chosen) >= places else 0
        return Claim(
            started=started,
            cancelled=cancelled,
            backlog=backlog,
            next_due=self._next_due(groups, again=len(cancelled) >= CANCELLED_AT_ONCE),
        )

    def _fifo(self) -> set[str]:
        return {name for name, limits in self._limits.items() if limits.concurrency == 1}

    def _room(self, function: str) -> int | None:
        """How many more may run; None: no limit."""
        concurrency = self._limits[function].concurrency
        if concurrency is None:
            return None
        taken: int = self._connection.execute(SQL["places_taken"], (function,)).fetchone()[0]
        return max(0, concurrency - taken)

    def _candidates(self, group: Group, places: int, room: Mapping[str, int | None]) -> list[Candidate]:
        limit = _at_most(places, room[group.function])
        if limit <= 0:
            return []
        return [
            Candidate(function=group.function, priority=group.priority, scheduled_at=row[0], sequence=row[1])
            for row in self._in_group("due_in_group", group, limit)
        ]

    def _start(self, chosen: Sequence[Candidate], generation: int) -> list[Running]:
        if not chosen:
            return []
        order = [candidate.sequence for candidate in chosen]
        values = {
            "sequences": json.dumps(order),
            "now": self._now,
            "revision": self._revision,
            "generation": generation,
        }
        rows = self._connection.execute(SQL["start"], values).fetchall()
        self._connection.execute(SQL["start_attempts"], values)
        faults = {
            row["sequence"]: faults_from_text(row["faults"])
            for row in self._connection.execute(SQL["faults_of"], values)
        }
        started = {row["sequence"]: running_of(row, faults.get(row["sequence"])) for row in rows}
        return [started[sequence] for sequence in order]

    def _cancel_beyond_limits(self, due: Sequence[Group], room: Mapping[str, int | None]) -> list[Change]:
        """Cancel what is due and was never started, where the limit is reached and says so."""
        cancelled: list[Change] = []
        for group in due:
            if self._limits[group.function].action == "cancel" and room[group.function] == 0:
                limit = CANCELLED_AT_ONCE - len(cancelled)
                cancelled += changes_of(self._in_group("cancel_due_in_group", group, limit))
        return cancelled

    def _backlog(self, due: Sequence[Group], room: Mapping[str, int | None]) -> int:
        total, left = 0, dict(room)
        for group in due:
            limit = _at_most(BACKLOG - total, left[group.function])
            if limit > 0:
                count: int = self._in_group("count_due_in_group", group, limit)[0][0]
                left[group.function] = _less(left[group.function], count)
                total += count
        return total

    def _next_due(self, groups: Sequence[Group], *, again: bool) -> int | None:
        if again:
            return self._now
        moments: list[int] = []
        for group in groups:
            if group.first_due > self._now:
                moments.append(group.first_due)
            elif (later := self._in_group("next_due_in_group", group)[0][0]) is not None:
                moments.append(later)
        return min(moments, default=None)

    def _in_group(self, query: str, group: Group, limit: int = 0) -> list[Row]:
        values = {
            "function": group.function,
            "priority": group.priority,
            "now": self._now,
            "revision": self._revision,
            "limit": limit,
        }
        return self._connection.execute(SQL[query], values).fetchall()


def choose(
    candidates: Sequence[Candidate],
    room: Mapping[str, int | None],
    places: int,
    *,
    fifo: set[str],
) -> list[Candidate]:
    """The candidates that start, in their order: children of waiting executions first, the deepest of
    them first; then by due time; then by creation. `room` is what each function's limit leaves (None:
    no limit); the functions of `fifo` know no priority among their own executions."""
    heads: dict[str, Candidate] = {}
    free: list[Candidate] = []
    for candidate in candidates:
        if candidate.function not in fifo:
            free.append(candidate)
            continue
        head = heads.setdefault(candidate.function, candidate)
        heads[candidate.function] = min(head, candidate, key=_age)
    left = dict(room)
    chosen: list[Candidate] = []
    for candidate in sorted([*free, *heads.values()], key=lambda one: (-one.priority, *_age(one))):
        if len(chosen) >= places:
            break
        if _at_most(1, left[candidate.function]) > 0:
            left[candidate.function] = _less(left[candidate.function], 1)
            chosen.append(candidate)
    return chosen


def _age(candidate: Candidate) -> tuple[int, int]:
    return candidate.scheduled_at, candidate.sequence


def _at_most(number: int, bound: int | None) -> int:
    return number if bound is None else min(number, bound)


def _less(number: int | None, by: int) -> int | None:
    return None if number is None else number - by
