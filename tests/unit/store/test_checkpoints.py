"""The log of the file is copied back beside the writers."""

from __future__ import annotations

import asyncio

import pytest

from defer_emulator.store import checkpoints
from defer_emulator.store.checkpoints import keep_checkpointing
from tests.unit.store.world import World


def test_what_is_written_is_in_the_file_a_moment_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.001)
    path = world.store.database.path
    assert path is not None

    async def main() -> None:
        world.enqueue()
        size = path.stat().st_size
        keeping = asyncio.create_task(keep_checkpointing(world.store))
        for number in range(50):
            world.enqueue("job", "x" * 1_000, number)
        deadline = asyncio.get_running_loop().time() + 10
        while path.stat().st_size == size:
            assert asyncio.get_running_loop().time() < deadline, "nothing was copied"
            await asyncio.sleep(0.001)
        keeping.cancel()
        await asyncio.wait({keeping})

    asyncio.run(main())
    assert world.enqueue().function_name == "job", "the store goes on as before"
    assert not world.store.database.is_checkpointed
