"""Executions as a test looks at them, and the history that a failed assertion shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from defer_client.models import (
    Arguments,
    Attempt,
    Execution,
    ExecutionFilters,
    Failure,
    Json,
    LogLine,
    Page,
    State,
)
from defer_emulator.domain.ids import short_id
from defer_emulator.domain.texts import duration, moment
from defer_emulator.store.listing import Wanted
from defer_emulator.store.store import Store

_LONGEST_VALUE = 60  # characters
_LONGEST_HISTORY = 50  # executions


@dataclass(frozen=True, kw_only=True, repr=False)
class Record(Execution):
    """An execution as it stood when it was asked for, with what belongs to it.

    >>> record = defer_emulator.last(send_mail)  # doctest: +SKIP
    >>> record.state, record.attempt, record.result  # doctest: +SKIP
    (<State.SUCCEED: 'succeed'>, 2, 'sent')
    """

    _store: Store = field(compare=False)

    @property
    def arguments(self) -> Arguments:
        """What the function was called with."""
        return self._store.get_arguments(self.id)

    @property
    def result(self) -> Json:
        """What a succeeded execution returned; None for every other."""
        return self._store.get_outcome(self.id)[1].result

    @property
    def error(self) -> Failure | None:
        """Why it failed, or why its latest attempt did."""
        failure = self._store.get_outcome(self.id)[1].failure
        return failure or next((one.error for one in reversed(self.attempts) if one.error), None)

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Its runs, oldest first."""
        page = self._store.list_attempts(self.id, Page(first=1_000), ExecutionFilters())
        return list(reversed(page.data))

    @property
    def logs(self) -> Sequence[LogLine]:
        """What it printed, oldest first."""
        return self._store.get_logs(self.id)

    @property
    def children(self) -> Sequence[Record]:
        """What it started, oldest first."""
        return [record_of(self._store, one) for one in self._store.children(self.id, 1_000_000)]

    @property
    def call(self) -> str:
        """`send_mail('ada@example.com', retry=True)`, as far as it fits."""
        return shown_call(self.function_name, self.arguments)

    def __repr__(self) -> str:
        return f"<{self.call} {self._standing()}>"

    def _standing(self) -> str:
        error = self.error
        why = "" if error is None else f": {error.name}: {error.message}"
        if self.state is State.CREATED:
            after = f", after {self._attempts()}{why}" if self.attempt else ""
            return f"is due {moment(self.scheduled_at)}{after}"
        times = f" after {self._attempts()}" if self.attempt > 1 else ""
        if self.state is State.SUCCEED:
            return f"succeeded{times} with {_shown(self.result)}"
        return f"{'runs' if self.state is State.STARTED else self.state}{times}{why}"

    def _attempts(self) -> str:
        return f"{self.attempt} attempt{'s' if self.attempt > 1 else ''}"


def record_of(store: Store, execution: Execution) -> Record:
    values = {one.name: getattr(execution, one.name) for one in fields(Execution)}
    return Record(**values, _store=store)


def records(store: Store, filters: ExecutionFilters, functions: Sequence[str] | None) -> list[Record]:
    """In the order in which they were created."""
    found: list[Record] = []
    page = Page(first=1_000)
    while True:
        listed = store.list_executions(page, Wanted(filters=filters, functions=functions))
        found += [record_of(store, one) for one in listed.data]
        if not listed.page_info.has_next_page:
            return found[::-1]
        page = Page(first=1_000, after=listed.page_info.end_cursor)


def history(found: Sequence[Record], now: datetime) -> str:
    """All of it in words: a line for each execution, and for each attempt of those that did not go well."""
    lines = [f"The clock shows {moment(now)}."]
    if not found:
        return "\n".join([*lines, "Nothing was enqueued."])
    if len(found) > _LONGEST_HISTORY:
        lines.append(f"The latest {_LONGEST_HISTORY} of {len(found)} executions:")
    names = {one.id: one.function_name for one in found}
    for one in found[-_LONGEST_HISTORY:]:
        parent = f", by {names[one.executed_by]}" if one.executed_by in names else ""
        lines.append(f"- {short_id(one.id)} {one.call} {one._standing()}{parent}")
        if one.attempt > 1 or one.error is not None:
            lines += _attempt_lines(one.attempts)
    return "\n".join(lines)


def _attempt_lines(attempts: Iterable[Attempt]) -> Iterable[str]:
    for one in attempts:
        why = "" if one.error is None else f": {one.error.name}: {one.error.message}"
        started = "" if one.started_at is None else f" at {moment(one.started_at)}"
        took = ""
        if one.started_at and one.finished_at and one.finished_at > one.started_at:
            took = f", for {duration((one.finished_at - one.started_at).total_seconds())}"
        yield f"    attempt {one.attempt}{started}{took}: {one.state}{why}"


def shown_call(function: str, arguments: Arguments) -> str:
    """`send_mail('ada@example.com', retry=True)`, its values cut where they are long."""
    shown = [_shown(value) for value in arguments.positional]
    shown += [f"{name}={_shown(value)}" for name, value in arguments.keyword.items()]
    return f"{function}({', '.join(shown)})"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
