"""What the console and `defer stats` show: numbers, errors, logs and schedules of a whole project."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from defer_client.models import Page
from defer_emulator.clock import to_datetime, to_micros
from defer_emulator.operations.base import LocalBase
from defer_emulator.operations.executions import Search, wanted_of

if TYPE_CHECKING:  # `defer list` and the like need none of these
    from defer_emulator.domain.insight import (
        Count,
        ErrorGroup,
        FoundExecutions,
        LogPage,
        LogSearch,
        MissedCron,
        Schedule,
        Statistics,
        UsedArguments,
    )
    from defer_emulator.store.statistics import StatisticsReader
    from defer_emulator.store.store import Store

T = TypeVar("T")

DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_SHORTLY = 0.02  # seconds that an emulator reads before it answers; the rest is read between answers
_LOOK = 0.03  # seconds of a look over much of the file, in an emulator
_LONG = 0.9  # seconds of one elsewhere


class InsightOperations(Protocol):
    """In an emulator each answers within 50 ms on a million executions. Elsewhere `statistics` and the groups
    of errors read what there is, for about a second. They suspend in an emulator only."""

    async def statistics(self, *, window: timedelta | None = DAY, buckets: int = 48) -> Statistics:
        """Counts, rates, percentiles, queue and places, of all and of each function. `window` is a time
        from now backwards, None everything; it is cut into at most `buckets` stretches, beside the one that
        has just begun."""

    async def error_groups(
        self, *, function: str | None = None, since: datetime | timedelta | None = None, limit: int = 100
    ) -> list[ErrorGroup]:
        """Those seen last first."""

    async def error_group(self, fingerprint: str) -> ErrorGroup | None: ...

    async def executions_with_error(self, fingerprint: str, limit: int = 10_000) -> list[str]:
        """The ids of a group's executions, newest first: to rerun them."""

    async def used_arguments(self, function: str, limit: int = 10) -> list[UsedArguments]:
        """Different arguments that a function was called with lately, newest first."""

    async def schedules(self, *, times: int = 5, days: int = 14) -> list[Schedule]:
        """The crons of the project by name, with their next `times` and their next `days`."""

    async def missed_crons(self, limit: int = 100) -> list[MissedCron]:
        """Newest first."""

    async def search_logs(self, search: LogSearch, *, cursor: str | None = None, limit: int = 200) -> LogPage:
        """Lines of the newest executions first. Raises `InvalidRequest` for an unknown cursor."""

    async def find(self, page: Page, search: Search) -> FoundExecutions:
        """As `search`, but for some time only: a page may end early, and says so. Raises `InvalidRequest`
        for an unknown cursor."""

    async def count(self, search: Search, *, exact: bool = False) -> Count:
        """How many executions match; at least how many, where that takes long and need not be exact."""


class LocalInsight(LocalBase):
    @property
    def _statistics(self) -> StatisticsReader:
        if self._reader is None:
            from defer_emulator.store.statistics import StatisticsReader

            return StatisticsReader(self._store)
        return self._reader()

    async def _aside(self, ask: Callable[[], T]) -> T:
        """Not in the event loop's thread, if this is an emulator."""
        if self._reader is None:
            return ask()
        import asyncio

        return await asyncio.to_thread(ask)

    @property
    def _aside_store(self) -> Store:
        return self._store if self._reader is None else self._reader().store

    @property
    def _patience(self) -> float:
        return _LONG if self._reader is None else _LOOK

    async def statistics(self, *, window: timedelta | None = DAY, buckets: int = 48) -> Statistics:
        length = None if window is None else window // _MICROSECOND
        reader = self._statistics

        def ask() -> Statistics:
            reader.catch_up(_LONG if self._reader is None else _SHORTLY)
            return reader.statistics(length, max(1, buckets))

        return await self._aside(ask)

    async def error_groups(
        self, *, function: str | None = None, since: datetime | timedelta | None = None, limit: int = 100
    ) -> list[ErrorGroup]:
        first = to_datetime(self._store.now()) - since if isinstance(since, timedelta) else since

        reader = self._statistics

        def ask() -> list[ErrorGroup]:
            reader.catch_up(_LONG if self._reader is None else _SHORTLY)
            found = (
                group
                for group in reader.error_groups()
                if (function is None or function in group.functions)
                and (first is None or group.last_seen >= first)
            )
            return [group for group, _ in zip(found, range(limit), strict=False)]

        return await self._aside(ask)

    async def error_group(self, fingerprint: str) -> ErrorGroup | None:
        groups = await self.error_groups(limit=1_000_000)
        return next((group for group in groups if group.fingerprint == fingerprint), None)

    async def executions_with_error(self, fingerprint: str, limit: int = 10_000) -> list[str]:
        """The ids of a group's executions, newest first: to rerun them."""
        group = await self.error_group(fingerprint)
        if group is None:
            return []
        reader = self._statistics
        return await self._aside(lambda: reader.executions_with_error(group, limit))

    async def used_arguments(self, function: str, limit: int = 10) -> list[UsedArguments]:
        from defer_emulator.store.searching import used_arguments

        with self._store.database.read() as connection:
            return used_arguments(connection, function, limit)

    async def schedules(self, *, times: int = 5, days: int = 14) -> list[Schedule]:
        from defer_emulator.operations.calendar import schedule_of

        now = self._store.now()
        return [
            schedule_of(function, now, times=times, days=days)
            for function in self._store.functions()
            if function.spec.cron and function.status != "removed"
        ]

    async def missed_crons(self, limit: int = 100) -> list[MissedCron]:
        return self._store.missed_crons(limit)

    async def search_logs(self, search: LogSearch, *, cursor: str | None = None, limit: int = 200) -> LogPage:
        """Lines of the newest executions first. Raises `InvalidRequest` for an unknown cursor."""
        from defer_emulator.store.searching import WantedLines, search_lines

        since = search.since
        if isinstance(since, timedelta):
            since = to_datetime(self._store.now()) - since
        wanted = WantedLines(
            text=search.text or "",
            functions=search.functions,
            since=None if since is None else to_micros(since),
            stream=search.stream,
            execution_id=search.execution_id,
            attempt=search.attempt,
        )
        store = self._aside_store

        def ask() -> LogPage:
            with store.database.read() as connection:
                return search_lines(connection, wanted, cursor, max(1, limit), self._patience)

        return await self._aside(ask)

    async def find(self, page: Page, search: Search) -> FoundExecutions:
        """Newest first. Raises `InvalidRequest` for an unknown cursor."""
        wanted, store = wanted_of(search, self._store.now()), self._aside_store
        return await self._aside(lambda: store.find(page, wanted, self._patience))

    async def count(self, search: Search, *, exact: bool = False) -> Count:
        wanted, store = wanted_of(search, self._store.now()), self._aside_store
        return await self._aside(lambda: store.count(wanted, None if exact else self._patience))
