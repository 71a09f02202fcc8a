"""The stream of server-sent events that open pages listen to."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.console.responses import PAGE_HEADERS
from defer_emulator.web.console.updates import Updates


class EventStream(Response):
    """An answer that goes on until the browser closes it, or the server stops."""

    def __init__(self, updates: Updates) -> None:
        headers = {
            **PAGE_HEADERS,
            "Content-Type": "text/event-stream; charset=utf-8",
            "X-Accel-Buffering": "no",
        }
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._updates = updates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        writing = asyncio.ensure_future(self._updates.events(send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)
        await send({"type": "http.response.body", "body": b""})


async def show(request: PageRequest) -> Response:
    return EventStream(request.site.updates)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
