"""The backends under contract. Another one needs one more entry in `OPENERS`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from defer_client.backend import Backend
from defer_client.models import Arguments, Call, Execution
from tests.unit.store.world import World

Opener = Callable[[World, str | None], AbstractAsyncContextManager[Backend]]
"""Opens a backend that ends in the world's store, on behalf of the execution with that id, if any."""


@asynccontextmanager
async def open_local(world: World, parent: str | None) -> AsyncIterator[Backend]:
    yield world.backend_of(parent)


OPENERS: dict[str, Opener] = {"local": open_local}


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
