"""Where `defer logs` gets its lines from: the project's file, which knows what is new, or a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from defer_cli.session import Session
from defer_client.models import MAX_PAGE_SIZE, Execution, Page
from defer_emulator.operations import Search
from defer_emulator.store.printed import Printed

MOST_ASKED = 50  # executions of a server whose lines are asked for, one by one


class Feed(Protocol):
    """Lines of chosen executions, or of all that match a search."""

    def first(self, since: datetime | None, last: int | None) -> list[Printed]:
        """What there is: since a moment; only the `last` lines of each execution, if that is given."""

    def more(self) -> list[Printed]:
        """What came since the last call."""


def feed(session: Session, search: Search, ids: Sequence[str] | None) -> Feed:
    """`ids`: of executions, or of attempts, whose lines alone are meant; None: all that match."""
    return RemoteFeed(session, search, ids) if session.endpoint else LocalFeed(session, search, ids)


class LocalFeed:
    def __init__(self, session: Session, search: Search, ids: Sequence[str] | None) -> None:
        self._session = session
        self._search = search
        self._ids = None if ids is None else list(dict.fromkeys(id.partition(".")[0] for id in ids))
        self._meant = None if ids is None else frozenset(ids)
        self._position = 0

    def first(self, since: datetime | None, last: int | None) -> list[Printed]:
        session, ids = self._session, self._ids
        if ids is None:
            found = session.search(Page(first=MAX_PAGE_SIZE), self._search)
            if found.page_info.has_next_page:
                session.output.note(
                    f"only the latest {MAX_PAGE_SIZE:,} executions that match are shown", "dim"
                )
            ids = [execution.id for execution in found.data]
        whole = self._meant is None or self._meant <= set(ids)
        lines = session.call(session.operations.printed(ids, since=since, last=last if whole else None))
        self._position = lines.position
        return self._wanted(lines.lines)

    def more(self) -> list[Printed]:
        lines = self._session.call(
            self._session.operations.printed_after(self._position, self._search, self._ids)
        )
        self._position = lines.position
        return self._wanted(lines.lines)

    def _wanted(self, lines: Sequence[Printed]) -> list[Printed]:
        if self._meant is None:
            return list(lines)
        return [
            one
            for one in lines
            if one.execution_id in self._meant or f"{one.execution_id}.{one.line.attempt}" in self._meant
        ]


class RemoteFeed:
    """Asks for whole logs again and again, and leaves out what was shown; those of what has ended, once."""

    def __init__(self, session: Session, search: Search, ids: Sequence[str] | None) -> None:
        self._session = session
        self._search = search
        self._ids = ids
        self._shown: dict[str, int] = {}  # lines, by id
        self._ended: set[str] = set()

    def first(self, since: datetime | None, last: int | None) -> list[Printed]:
        lines = [one for one in self.more() if since is None or one.line.time >= since]
        return lines if last is None else lines[-last:] if last else []

    def more(self) -> list[Printed]:
        session, found = self._session, list[Printed]()
        for execution in self._executions():
            if execution.id in self._ended:
                continue
            lines = session.call(session.backend.get_execution_logs(execution.id))
            shown = self._shown.get(execution.id, 0)
            found += [
                Printed(
                    execution_id=execution.id.partition(".")[0], function=execution.function_name, line=line
                )
                for line in lines[shown:]
            ]
            self._shown[execution.id] = len(lines)
            if execution.state.is_final:
                self._ended.add(execution.id)
        return sorted(found, key=lambda one: one.line.time)

    def _executions(self) -> Sequence[Execution]:
        session = self._session
        if self._ids is not None:
            return [session.call(session.backend.get_execution(one)) for one in self._ids]
        return session.search(Page(first=MOST_ASKED), self._search).data
