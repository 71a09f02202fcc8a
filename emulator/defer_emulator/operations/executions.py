"""Executions as a person looks for them: by text and short id, with what they started and why they wait."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from defer_client.errors import AmbiguousId, Conflict, ExecutionNotCancellable, ExecutionNotFound
from defer_client.models import Arguments, Execution, ExecutionFilters, Page, PageOf, State
from defer_emulator.clock import to_datetime, to_micros
from defer_emulator.domain.ids import attempt_id, parse_id, short_id
from defer_emulator.operations.base import LocalBase
from defer_emulator.store.listing import Wanted
from defer_emulator.store.rows import arguments_text

if TYPE_CHECKING:  # `defer list` needs none of these
    from defer_emulator.domain.faults import Faults
    from defer_emulator.domain.why import Emulator, Why

_PART_OF_ID = re.compile(r"(?P<part>[0-9a-f-]{4,36})(?:\.(?P<attempt>[1-9][0-9]{0,8}))?", re.ASCII)
_LATEST = re.compile(r"(?P<name>@last(-failed)?)(?:\.(?P<attempt>[1-9][0-9]{0,8}))?", re.ASCII)
_SHOWN = 5  # candidates in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Filters that the CLI and the console add to the API's."""

    filters: ExecutionFilters = field(default_factory=ExecutionFilters)
    function_names: Sequence[str] = ()
    created_since: datetime | timedelta | None = None  # a duration: that long ago
    text: str | None = None  # in the function's name, the arguments, the result or the error


class ExecutionOperations(Protocol):
    async def search(self, page: Page, search: Search) -> PageOf[Execution]: ...

    async def resolve_id(self, text: str) -> str:
        """The id that a full id, a unique prefix or suffix of four or more, `@last` or `@last-failed` means,
        each with the number of an attempt or without. Raises `ExecutionNotFound`, `AmbiguousId`."""

    async def children(self, execution_id: str, limit: int = 1_000) -> list[Execution]:
        """What it started, oldest first."""

    async def why(self, execution_id: str) -> Why:
        """Why an execution, or one of its attempts, is where it is. Raises `ExecutionNotFound`."""

    async def faults(self, execution_id: str) -> Faults | None:
        """What was asked to go wrong with it. Raises `ExecutionNotFound`."""

    async def rerun_with(self, execution_id: str, arguments: Arguments) -> Execution:
        """A rerun with other arguments. Raises `ExecutionNotFound`, `NotSerializable`."""

    async def cancel_tree(self, execution_id: str, *, force: bool = False) -> list[Execution]:
        """Cancel an execution and all that it started, and they; with `force`, abort what runs. Returns
        those that changed, oldest first. Raises `ExecutionNotFound`; and `ExecutionNotCancellable`,
        with nothing done, when it runs and there is no force, or when nothing of it is left."""


def wanted_of(search: Search, now: int) -> Wanted:
    """A search as the file can answer it; `now` is the emulated time in µs."""
    since = search.created_since
    if isinstance(since, timedelta):
        since = to_datetime(now) - since
    return Wanted(
        filters=search.filters,
        functions=search.function_names or None,
        created_from=None if since is None else to_micros(since),
        text=search.text or None,
    )


class LocalExecutions(LocalBase):
    async def search(self, page: Page, search: Search) -> PageOf[Execution]:
        """Newest first. Raises `InvalidRequest` for an unknown cursor."""
        return self._store.list_executions(page, wanted_of(search, self._store.now()))

    async def children(self, execution_id: str, limit: int = 1_000) -> list[Execution]:
        """What it started, oldest first. Raises `ExecutionNotFound`."""
        return self._store.children(execution_id, limit)

    async def why(self, execution_id: str) -> Why:
        """Why an execution, or one of its attempts, is where it is. Raises `ExecutionNotFound`."""
        from defer_emulator.domain.why import Facts, explain

        standing, real = self._store.standing(execution_id), self._store.real()
        clock, discard_at = standing.clock, standing.discard_at
        return explain(
            Facts(
                execution=standing.execution,
                now=to_datetime(clock.at(real)),
                clock="frozen" if clock.mode == "frozen" else "moved" if clock.offset else "real",
                emulator=self._emulator(),
                function=standing.function,
                function_paused=standing.function_paused,
                everything_paused=standing.everything_paused,
                holders=standing.holders,
                holders_count=standing.holders_count,
                places_taken=standing.places_taken,
                awaited=standing.awaited,
                awaited_count=standing.awaited_count,
                last_failure=standing.last_failure,
                ended_by=standing.ended_by,
                discard_at=None if discard_at is None else to_datetime(discard_at),
            )
        )

    def _emulator(self) -> Emulator | None:
        from defer_emulator.domain.why import Emulator
        from defer_emulator.presence import is_alive, read_presence

        root = self._store.root
        if root is None:  # a file in memory is served by whoever holds it
            return Emulator()
        presence = read_presence(root)
        if presence is None or not is_alive(presence):
            return None
        return Emulator(max_concurrency=presence.max_concurrency, only=presence.only)

    async def faults(self, execution_id: str) -> Faults | None:
        return self._store.faults(execution_id)

    async def rerun_with(self, execution_id: str, arguments: Arguments) -> Execution:
        """A rerun with other arguments. Raises `ExecutionNotFound`, `NotSerializable`."""
        text = arguments_text(arguments)
        with self._store.write() as tx:
            execution = tx.rerun(tx.require(execution_id, whole=True), text)
        self._wake()
        return execution

    async def cancel_tree(self, execution_id: str, *, force: bool = False) -> list[Execution]:
        changed = []
        with self._store.write() as tx:
            root = tx.require(execution_id)
            if State(root["state"]) is State.STARTED and not force:
                tx.cancel(root, force=False)  # says why it cannot be
            for row in tx.descendants(root["id"]):
                try:
                    changed.append(tx.cancel(row, force=force))
                except Conflict:
                    continue  # it has ended, or runs and is left alone
            if not changed:
                raise ExecutionNotCancellable(
                    f"nothing of execution {short_id(root['id'])} and what it started can be cancelled"
                )
        self._wake()
        return changed

    async def resolve_id(self, text: str) -> str:
        """The id that a full id, a unique prefix or suffix of four or more, `@last` or `@last-failed` means,
        each with the number of an attempt or without. Raises `ExecutionNotFound`, `AmbiguousId`."""
        latest = _LATEST.fullmatch(text)
        if latest is not None:
            execution_id = self._latest(latest["name"])
            return self._attempt_of(execution_id, latest["attempt"])
        if parse_id(text) is not None:
            return self._store.get(text).id
        found = _PART_OF_ID.fullmatch(text.lower())
        if found is None:
            raise ExecutionNotFound(
                f"{text[:60]!r} is no id of an execution",
                hint="give an id, four or more characters of its beginning or end, @last or @last-failed",
            )
        candidates = self._store.ids_like(found["part"], _SHOWN + 1)
        if not candidates:
            raise ExecutionNotFound(
                f"no execution has an id that begins or ends with {found['part']}",
                hint="`defer list` shows the ids there are",
            )
        if len(candidates) > 1:
            shown = ", ".join(f"{short_id(one)} ({function})" for one, function in candidates[:_SHOWN])
            more = " and more" if len(candidates) > _SHOWN else ""
            raise AmbiguousId(
                f"{found['part']} may be any of {shown}{more}",
                hint="give more characters of the one you mean",
            )
        return self._attempt_of(candidates[0][0], found["attempt"])

    def _attempt_of(self, execution_id: str, attempt: str | None) -> str:
        """The id of one of its attempts, or its own. Raises `ExecutionNotFound`."""
        if attempt is None:
            return execution_id
        return self._store.get(attempt_id(execution_id, int(attempt))).id

    def _latest(self, text: str) -> str:
        failed = text == "@last-failed"
        latest = self._store.latest(failed=failed)
        if latest is None:
            raise ExecutionNotFound(
                f"{text}: no execution has failed" if failed else f"{text}: there are no executions yet",
                hint="`defer list` shows what there is",
            )
        return latest
