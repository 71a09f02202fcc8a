"""Calls that are due later, each at most once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Named by what they call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` then, unless it is already going to be called."""
        if action not in self._waiting:
            self._waiting[action] = self._loop.call_later(seconds, self._run, action)

    def is_waiting(self, action: Callable[[], None]) -> bool:
        """Whether it is going to be called."""
        return action in self._waiting

    def close(self) -> None:
        """Nothing is called any more."""
        for handle in self._waiting.values():
            handle.cancel()

    def _run(self, action: Callable[[], None]) -> None:
        del self._waiting[action]
        action()
