from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from defer_client.models import Call
from defer_emulator.web.console import updates
from tests.unit.web.console.browser import Browser
from tests.unit.web.world import World

pytestmark = pytest.mark.anyio


class Stream:
    """What a browser gets on `/live`, event by event."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.ended = asyncio.Event()
        self._chunks: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.head = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message.get("more_body"):
            self._chunks.put_nowait(message["body"].decode())
        else:
            self.ended.set()

    async def event(self) -> str:
        while True:
            chunk = await asyncio.wait_for(self._chunks.get(), 5)
            assert chunk.endswith("\n\n")
            names = [line[7:] for line in chunk.splitlines() if line.startswith("event: ")]
            if names:
                assert "\ndata:" in chunk  # without it, a browser tells nobody
                self.data = chunk.partition("\ndata: ")[2].strip()  # of the latest event
                return names[0]


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[tuple[Stream, asyncio.Event]]:
    stream, gone = Stream(), asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/live",
        "query_string": b"",
        "headers": [(b"host", b"localhost:3337")],
    }
    task = asyncio.create_task(app(scope, receive, stream.send))
    try:
        yield stream, gone
    finally:
        gone.set()
        await asyncio.wait_for(task, 5)


async def test_a_change_of_the_file_is_told(world: World) -> None:
    async with listening(world.app()) as (stream, _):
        assert await stream.event() == "hello"
        assert stream.head["content-type"].startswith("text/event-stream")
        assert "content-length" not in stream.head
        await world.backend.enqueue(Call(function_name="send_mail"))
        assert await stream.event() == "changed"


async def test_a_page_learns_from_the_first_event_what_it_has_missed(world: World, browser: Browser) -> None:
    shown = re.search('data-state-shown="([^"]+)"', await browser.text("/"))
    assert shown is not None
    async with listening(world.app()) as (stream, _):
        await stream.event()
        assert stream.data == shown[1]
    await world.backend.enqueue(Call(function_name="send_mail"))
    async with listening(world.app()) as (stream, _):
        await stream.event()
        assert stream.data != shown[1]


async def test_what_no_file_holds_is_told_too(world: World) -> None:
    async with listening(world.app()) as (stream, _):
        await stream.event()
        world.operations.live.diagnostics([])
        assert await stream.event() == "changed"


async def test_the_stream_ends_when_the_server_stops(world: World) -> None:
    app = world.app()
    async with listening(app) as (stream, _):
        await stream.event()
        app.close()
        await asyncio.wait_for(stream.ended.wait(), 5)


async def test_nobody_looks_at_the_file_when_nobody_listens(world: World) -> None:
    app = world.app()
    async with listening(app) as (stream, _):
        await stream.event()
    looks = 0

    async def count() -> int:
        nonlocal looks
        looks += 1
        return 0

    await asyncio.sleep(0)
    world.operations.revision = count  # type: ignore[method-assign]
    for _ in range(3):
        await asyncio.sleep(updates.LOOK)
    assert looks <= 1
