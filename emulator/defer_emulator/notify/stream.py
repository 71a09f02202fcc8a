"""Events for a reader who comes for them, such as a browser, and may be slow."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from types import TracebackType

from defer_emulator.notify.events import LiveEvent, Resync


class EventStream:
    """Events from now on, for one reader in the event loop's thread. Close it, or use it as a context.

    A reader that is `size` events behind gets one `Resync` in their place.
    """

    def __init__(self, streams: set[EventStream], size: int) -> None:
        self._streams = streams
        self._size = size
        self._events: deque[LiveEvent] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False
        streams.add(self)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def put(self, event: LiveEvent) -> None:
        if len(self._events) >= self._size:
            self._events.clear()
            event = Resync()
        self._events.append(event)
        self._arrived.set()

    async def next(self, timeout: float | None = None) -> list[LiveEvent]:
        """All that has come since the last call, oldest first, as soon as there is anything; [] after
        `timeout` seconds, and when the stream is closed."""
        if not self._events and not self._is_closed:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), timeout)
        self._arrived.clear()
        events, self._events = list(self._events), deque()
        return events

    def close(self) -> None:
        """Nothing more comes; who waits for more stops waiting."""
        self._is_closed = True
        self._streams.discard(self)
        self._arrived.set()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
