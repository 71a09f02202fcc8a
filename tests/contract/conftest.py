from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from defer_emulator.clock import ManualClock
from defer_emulator.domain.functions import ANY
from defer_emulator.store.store import Store
from tests.contract.case import OPENERS, Case
from tests.unit.store.world import World, spec


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def far_west(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own time is ten hours behind UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XYZ10")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(params=sorted(OPENERS))
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    """One backend after the other, each over a new project whose functions are add, send, job and tick."""
    clock = ManualClock()
    store = Store.open(tmp_path, clock=clock)
    world = World(store, clock)
    world.register(
        spec("add", parameters=ANY),
        spec("send", parameters=ANY, concurrency=1),
        spec("job", parameters=ANY),
        spec("tick", cron="* * * * *"),
    )
    async with AsyncExitStack() as stack:

        async def opened(parent: str | None) -> object:
            return await stack.enter_async_context(OPENERS[request.param](world, parent))

        yield Case(world=world, opened=opened, backend=await opened(None))  # type: ignore[arg-type]
    store.close()
