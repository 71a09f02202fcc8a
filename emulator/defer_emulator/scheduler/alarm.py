"""When the scheduler looks again: at once, within a moment, or when something is due."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

LONGEST_SLEEP = 60.0  # seconds: a machine clock that jumps is noticed at the latest then


class Alarm:
    """Calls `ring` in the running event loop, once for all who have asked for it meanwhile."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._soon: asyncio.Handle | None = None
        self._within: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None

    def at_once(self) -> None:
        """Ring at the end of this turn of the event loop."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._run)

    def within(self, seconds: float) -> None:
        """Ring after so long at the latest: others may come and share it."""
        loop = asyncio.get_running_loop()
        if self._within is not None:
            if self._within.when() <= loop.time() + seconds:
                return
            self._within.cancel()
        self._within = loop.call_later(seconds, self.at_once)

    def after(self, seconds: float | None) -> None:
        """Ring after so many seconds if nothing else makes it, in place of what was set before; None: only
        for what others ask."""
        if self._due is not None:
            self._due.cancel()
        delay = LONGEST_SLEEP if seconds is None else min(max(seconds, 0.0), LONGEST_SLEEP)
        delay = math.ceil(delay * 1e3) / 1e3  # event loops count in ms: too soon, it would ring for nothing
        self._due = asyncio.get_running_loop().call_later(delay, self.at_once)

    def cancel(self) -> None:
        """It does not ring any more."""
        for handle in (self._soon, self._within, self._due):
            if handle is not None:
                handle.cancel()

    def _run(self) -> None:
        self._soon = None
        if self._within is not None:
            self._within.cancel()
            self._within = None
        self._ring()
