"""Live updates: a stream of server-sent events tells open pages that something has changed, and they fetch
themselves anew. So a page is made in one way only, and works without any of it."""

from __future__ import annotations

import asyncio

from starlette.types import Send

from defer_emulator.operations import Operations

LOOK = 0.2  # seconds between two looks at the project's file, while somebody listens
PULSE = 15.0  # seconds without a change after which a sign of life is sent
RETRY = 1_000  # ms after which a browser that lost the stream comes back


class Updates:
    """Tells every listener when the file, or what the emulator tells, has changed."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._changes = 0
        self._changed = asyncio.Event()  # another one for each change
        self._closed = False
        self._listeners = 0
        self._looking: asyncio.Task[None] | None = None

    def close(self) -> None:
        """End all streams: the server stops."""
        self._closed = True
        self._changed.set()

    async def events(self, send: Send) -> None:
        """Write events until the stream is closed; the caller cancels it when the browser has gone."""
        self._listeners += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(await self.state()))
        try:
            seen = self._changes
            await _write(send, f"retry: {RETRY}\n" + _event("hello", await self.state()))
            while not self._closed:
                if seen != self._changes:  # while the last event was written
                    seen = self._changes
                    await _write(send, _event("changed"))
                    continue
                try:
                    await asyncio.wait_for(self._changed.wait(), PULSE)
                except asyncio.TimeoutError:
                    await _write(send, ": still here\n\n")
        finally:
            self._listeners -= 1

    async def state(self) -> str:
        """Another text after each change. A page has the one from before it was made, and so learns from the
        first event what it has missed."""
        return f"{await self._operations.revision()}.{self._operations.live.version}"

    async def _look(self, seen: str) -> None:
        while self._listeners and not self._closed:
            await asyncio.sleep(LOOK)
            now = await self.state()
            if now != seen:
                seen = now
                self._changes += 1
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()


async def _write(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _event(name: str, data: str = "") -> str:
    return f"event: {name}\ndata: {data}\n\n"
