"""What only the CLI and the console need, beside what a `Backend` offers applications."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Literal, Protocol

from defer_client.errors import (
    AmbiguousId,
    Conflict,
    ExecutionNotCancellable,
    ExecutionNotFound,
    InvalidOption,
    UnknownFunction,
)
from defer_client.models import Arguments, Execution, ExecutionFilters, Page, PageOf, State
from defer_emulator.clock import to_datetime, to_micros
from defer_emulator.domain.clock_moves import ClockAction, ClockMove
from defer_emulator.domain.cron import count_between
from defer_emulator.domain.functions import RegisteredFunction
from defer_emulator.domain.ids import attempt_id, parse_id, short_id
from defer_emulator.domain.texts import moment
from defer_emulator.domain.why import Emulator, Facts, Why, explain
from defer_emulator.lock import ProjectLock
from defer_emulator.presence import is_alive, read_presence
from defer_emulator.store.listing import Wanted
from defer_emulator.store.rows import arguments_text
from defer_emulator.store.store import Store

_PART_OF_ID = re.compile(r"(?P<part>[0-9a-f-]{4,36})(?:\.(?P<attempt>[1-9][0-9]{0,8}))?", re.ASCII)
_SHOWN = 5  # candidates in a message
_LATEST = datetime(9990, 1, 1, tzinfo=timezone.utc)  # so that a retry after it can still be written down


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockStatus:
    mode: Literal["running", "frozen"]  # while it is advanced: what it will be afterwards
    now: datetime  # the emulated time
    offset: timedelta  # emulated minus real time
    epoch: int
    advancing_to: datetime | None = None  # where the advance that is going on will end


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Filters that the CLI and the console add to the API's."""

    filters: ExecutionFilters = field(default_factory=ExecutionFilters)
    function_names: Sequence[str] = ()
    created_since: datetime | timedelta | None = None  # a duration: that long ago
    text: str | None = None  # in the function's name, the arguments, the result or the error


class Operations(Protocol):
    """Implemented by `LocalOperations` over the same store as `LocalBackend`. None of its
    methods suspends."""

    async def project_id(self) -> str: ...

    async def functions(self) -> list[RegisteredFunction]:
        """All that the project's file knows, by name."""

    async def find_function(self, name: str) -> RegisteredFunction:
        """By exact name, else from camelCase to snake_case. Raises `UnknownFunction` with "did you mean"."""

    async def search(self, page: Page, search: Search) -> PageOf[Execution]: ...

    async def resolve_id(self, text: str) -> str:
        """The id that a full id, an attempt's id, a unique prefix or suffix of four or more, `@last` or
        `@last-failed` means. Raises `ExecutionNotFound`, `AmbiguousId`."""

    async def children(self, execution_id: str, limit: int = 1_000) -> list[Execution]:
        """What it started, oldest first."""

    async def pause(self, name: str | None = None) -> None:
        """Of one function, or of everything. Raises `UnknownFunction`."""

    async def resume(self, name: str | None = None) -> None: ...

    async def is_paused(self) -> bool:
        """Whether everything is."""

    async def why(self, execution_id: str) -> Why:
        """Why an execution, or one of its attempts, is where it is. Raises `ExecutionNotFound`."""

    async def rerun_with(self, execution_id: str, arguments: Arguments) -> Execution:
        """A rerun with other arguments. Raises `ExecutionNotFound`, `NotSerializable`."""

    async def cancel_tree(self, execution_id: str, *, force: bool = False) -> list[Execution]:
        """Cancel an execution and all that it started, and they; with `force`, abort what runs. Returns
        those that changed, oldest first. Raises `ExecutionNotFound`; and `ExecutionNotCancellable`,
        with nothing done, when it runs and there is no force, or when nothing of it is left."""

    async def clock(self) -> ClockStatus: ...

    async def ask_clock(self, action: ClockAction, to: timedelta | datetime | None = None) -> ClockMove:
        """Ask whoever holds the project's lock to move the clock; `advance` needs a duration from now or a
        moment. What takes no time ends an advance where it is.

        Raises `InvalidOption` for a moment in the past, `Conflict` for an advance during another."""

    async def clock_move(self, number: int) -> ClockMove:
        """How it stands."""

    async def cancel_clock_move(self, number: int) -> None:
        """End an advance where it is; nothing happens when it is over."""

    async def crons_until(self, to: timedelta | datetime) -> int:
        """How many executions the crons would create until then."""


class LocalOperations:
    """`Operations` over a project's file. `wake` is called after every write, to tell the scheduler."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def project_id(self) -> str:
        return self._store.project_id

    # --- functions --------------------------------------------------------------------------

    async def functions(self) -> list[RegisteredFunction]:
        """All that the project's file knows, by name. While everything is paused, each of them is."""
        return self._store.functions()

    async def find_function(self, name: str) -> RegisteredFunction:
        """By exact name, else from camelCase to snake_case. Raises `UnknownFunction` with "did you mean"."""
        exact = self._store.function(name)
        if exact is not None and exact.status != "removed":
            return exact
        present = {one.spec.name: one for one in self._store.functions() if one.status != "removed"}
        snake_case = _snake_case(name)
        if snake_case in present:
            return present[snake_case]
        close = difflib.get_close_matches(snake_case, present, n=1)
        raise UnknownFunction(
            f"there is no function {name[:80]!r} in this project",
            hint=f"did you mean {close[0]}?" if close else "`defer functions` lists what there is",
        )

    async def pause(self, name: str | None = None) -> None:
        """Of one function, or of everything. Raises `UnknownFunction`."""
        await self._set_paused(name, True)

    async def resume(self, name: str | None = None) -> None:
        """Of one function, or of everything that was not paused by its own name. Raises `UnknownFunction`."""
        await self._set_paused(name, False)

    async def _set_paused(self, name: str | None, paused: bool) -> None:
        known = None if name is None else (await self.find_function(name)).spec.name
        with self._store.write() as tx:
            tx.pause(known, paused=paused)
        self._wake()

    async def is_paused(self) -> bool:
        return self._store.is_paused()

    async def clock(self) -> ClockStatus:
        (clock, moves), real = self._store.clock_and_moves(), self._store.real()
        walk = next((move for move in moves if move.is_walk and move.state != "asked"), None)
        target = None if walk is None or self._nobody_moves_it() else walk.target
        return ClockStatus(
            mode="running" if walk is not None and walk.runs_on else clock.mode,
            now=to_datetime(clock.at(real)),
            offset=timedelta(microseconds=clock.at(real) - real),
            epoch=clock.epoch,
            advancing_to=None if target is None else to_datetime(target),
        )

    def _nobody_moves_it(self) -> bool:
        """An emulator that was killed could not say that its advance is over."""
        return self._store.root is not None and ProjectLock(self._store.root).holder() is None

    async def ask_clock(self, action: ClockAction, to: timedelta | datetime | None = None) -> ClockMove:
        """Raises `InvalidOption` for a moment in the past, `Conflict` for an advance during another."""
        with self._store.write() as tx:
            target = None if to is None else _target(to, tx.now)
            move = tx.ask_clock_move(action, target)
        self._wake()
        return move

    async def clock_move(self, number: int) -> ClockMove:
        return self._store.clock_move(number)

    async def cancel_clock_move(self, number: int) -> None:
        """End an advance where it is; nothing happens when it is over."""
        with self._store.write() as tx:
            for move in tx.clock_moves():
                if move.id == number:
                    tx.cancel_clock_move(move)
        self._wake()

    async def crons_until(self, to: timedelta | datetime) -> int:
        """How many executions the crons would create until then. Raises `InvalidOption`."""
        now = self._store.now()
        target = _target(to, now)
        return sum(
            count_between(function.spec.cron, max(now, function.cron_after), target)
            for function in self._store.functions()
            if function.spec.cron
            and function.cron_after is not None
            and function.status != "removed"
            and not function.paused
        )

    # --- executions -------------------------------------------------------------------------

    async def search(self, page: Page, search: Search) -> PageOf[Execution]:
        """Newest first. Raises `InvalidRequest` for an unknown cursor."""
        since = search.created_since
        if isinstance(since, timedelta):
            since = to_datetime(self._store.now()) - since
        wanted = Wanted(
            filters=search.filters,
            functions=search.function_names or None,
            created_from=None if since is None else to_micros(since),
            text=search.text or None,
        )
        return self._store.list_executions(page, wanted)

    async def children(self, execution_id: str, limit: int = 1_000) -> list[Execution]:
        """What it started, oldest first. Raises `ExecutionNotFound`."""
        return self._store.children(execution_id, limit)

    async def why(self, execution_id: str) -> Why:
        """Why an execution, or one of its attempts, is where it is. Raises `ExecutionNotFound`."""
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
        root = self._store.root
        if root is None:  # a file in memory is served by whoever holds it
            return Emulator()
        presence = read_presence(root)
        if presence is None or not is_alive(presence):
            return None
        return Emulator(max_concurrency=presence.max_concurrency, only=presence.only)

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
        """The id that a full id, an attempt's id, a unique prefix or suffix of four or more, `@last` or
        `@last-failed` means. Raises `ExecutionNotFound`, `AmbiguousId`."""
        if text in ("@last", "@last-failed"):
            return self._latest(text)
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
        execution_id = candidates[0][0]
        if found["attempt"] is None:
            return execution_id
        return self._store.get(attempt_id(execution_id, int(found["attempt"]))).id

    def _latest(self, text: str) -> str:
        failed = text == "@last-failed"
        latest = self._store.latest(failed=failed)
        if latest is None:
            raise ExecutionNotFound(
                f"{text}: no execution has failed" if failed else f"{text}: there are no executions yet",
                hint="`defer list` shows what there is",
            )
        return latest


def _target(to: timedelta | datetime, now: int) -> int:
    """µs on the emulated clock. Raises `InvalidOption` for a moment in the past, or that no calendar has."""
    target = to_micros(to) if isinstance(to, datetime) else now + to // timedelta(microseconds=1)
    if target < now:
        raise InvalidOption(
            f"the clock shows {moment(to_datetime(now))} already: it cannot be advanced to an earlier time",
            hint="`defer clock reset` goes back to real time",
        )
    if target > to_micros(_LATEST):
        raise InvalidOption(f"the clock cannot be advanced beyond {moment(_LATEST)}")
    return target


def _snake_case(name: str) -> str:
    """`sendHTMLMail` → `send_html_mail`: the name that the same function has in Python."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", words).lower()
