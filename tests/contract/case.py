"""The backends under contract. Another one needs one more entry in `OPENERS`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from defer_client import wire
from defer_client.backend import Backend
from defer_client.http import HttpBackend
from defer_client.models import Arguments, Call, Execution
from defer_emulator.backend import ExecutionBackend
from defer_emulator.runner.frames import Answer, Request, decode, encode
from defer_emulator.scheduler.requests import answer
from defer_emulator.testing.backend import TestingBackend
from defer_emulator.testing.driving import Driver
from defer_emulator.web.app import create_app
from defer_emulator.web.settings import WebSettings
from defer_emulator.workers.python.backend import WorkerBackend
from defer_emulator.workers.python.channel import Channel
from tests.unit.store.world import World

Opener = Callable[[World, str | None], AbstractAsyncContextManager[Backend]]
"""Opens a backend that ends in the world's store, on behalf of the execution with that id, if any."""


@asynccontextmanager
async def open_local(world: World, parent: str | None) -> AsyncIterator[Backend]:
    yield world.backend_of(parent)


@asynccontextmanager
async def open_http(world: World, parent: str | None) -> AsyncIterator[Backend]:
    """The real web application, without a socket."""
    app = create_app(
        world.backend,
        world.operations,
        WebSettings(project="shop", version="1"),
        parent_of=lambda token: token.partition(".")[0] if token.endswith(".secret") else None,
        backend_for=world.backend_of,
    )
    token = "anything" if parent is None else f"{parent}.secret"
    backend = HttpBackend("http://localhost:3337", token, transport=httpx.ASGITransport(app))
    yield backend
    await backend.close()


@asynccontextmanager
async def open_worker(world: World, parent: str | None) -> AsyncIterator[Backend]:
    channel = InProcessChannel(world.backend_of(parent))
    yield WorkerBackend(channel)
    channel.close()


@asynccontextmanager
async def open_test(world: World, parent: str | None) -> AsyncIterator[Backend]:
    """The backend of a test with the fixture `defer_emulator`, and that of the functions it runs."""
    if parent is not None:
        backend = world.backend_of(parent)
        yield ExecutionBackend(world.store, parent=parent, wake=lambda: None, ask=backend.wait)
        return
    driver = Driver()
    driver.live(Onlooker(driver))  # type: ignore[arg-type]
    yield TestingBackend(
        world.store, driver, wake=lambda: None, is_busy=lambda: True, explain=lambda execution: execution.id
    )
    driver.close()


class Onlooker:
    """In place of a life: the world's hand plays its scheduler."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def run(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            time.sleep(0.002)
            self._driver.on_settled()

    def wake(self) -> None: ...


class InProcessChannel(Channel):
    """Passes frames as bytes to the code that answers workers, without a process between them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._asked: list[tuple[concurrent.futures.Future[Any], asyncio.Task[None]]] = []

    def request(self, method: str, params: dict[str, Any]) -> tuple[int, concurrent.futures.Future[Any]]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        number = len(self._asked)
        frame = decode(encode(Request(request=number, method=method, params=params))[4:])
        assert isinstance(frame, Request)
        self._asked.append((future, asyncio.ensure_future(self._serve(frame, future))))
        return number, future

    def cancel(self, number: int) -> None:
        self._asked[number][1].cancel()

    async def _serve(self, asked: Request, future: concurrent.futures.Future[Any]) -> None:
        result: Any = None
        problem: Any = None
        try:
            if asked.method == "wait":
                result = wire.outcome_to_json(await self._backend.wait(asked.params["execution_id"]))
            else:
                result = await answer(self._backend, asked.method, asked.params)
        except Exception as error:
            problem = wire.error_to_json(error)
        said = decode(encode(Answer(request=asked.request, result=result, error=problem))[4:])
        assert isinstance(said, Answer)
        if not future.set_running_or_notify_cancel():
            return
        if said.error is None:
            future.set_result(said.result)
        else:
            future.set_exception(wire.error_from_json(said.error))

    def close(self) -> None:
        for _, task in self._asked:
            task.cancel()


OPENERS: dict[str, Opener] = {
    "local": open_local,
    "http": open_http,
    "worker": open_worker,
    "test": open_test,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A backend, and the world that it ends in."""

    world: World
    backend: Backend
    opened: Callable[[str | None], Awaitable[Backend]]

    async def enqueue(
        self,
        function: str = "job",
        *arguments: Any,
        parent: Execution | None = None,
        delay: timedelta | datetime | None = None,
        discard_after: timedelta | datetime | None = None,
        metadata: dict[str, str] | None = None,
        awaited: bool = False,
        **keyword: Any,
    ) -> Execution:
        backend = self.backend if parent is None else await self.opened(parent.id)
        return await backend.enqueue(
            Call(
                function_name=function,
                arguments=Arguments(positional=arguments, keyword=keyword),
                delay=delay,
                discard_after=discard_after,
                metadata=metadata or {},
                awaited=awaited,
            )
        )
