"""What executions print, one or many, from a place on: to follow them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from defer_emulator.clock import to_micros
from defer_emulator.operations.base import LocalBase
from defer_emulator.operations.executions import Search, wanted_of

if TYPE_CHECKING:
    from defer_emulator.store.printed import Lines


class LogOperations(Protocol):
    async def printed(
        self, ids: Sequence[str], *, since: datetime | None = None, last: int | None = None
    ) -> Lines:
        """What these executions printed since a moment, in the order in which it was written; only the
        `last` lines of each, if that is given. Unknown ids are passed over."""

    async def printed_after(self, position: int, search: Search, ids: Sequence[str] | None = None) -> Lines:
        """What was printed after an earlier answer: by these executions, or by all that match."""


class LocalLogs(LocalBase):
    async def printed(
        self, ids: Sequence[str], *, since: datetime | None = None, last: int | None = None
    ) -> Lines:
        return self._store.lines_of(ids, since=0 if since is None else to_micros(since), last=last)

    async def printed_after(self, position: int, search: Search, ids: Sequence[str] | None = None) -> Lines:
        return self._store.lines_after(position, wanted_of(search, self._store.now()), ids)
