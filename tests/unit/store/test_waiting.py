"""Waiting in an event loop."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import pytest

from defer_client.errors import StateFileError
from defer_emulator.store import waiting
from defer_emulator.store.waiting import Watcher
from tests.unit.store.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2_500):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("nothing came of it in 5 s")


async def test_without_an_emulator_it_is_said_once_and_the_wait_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "_SAY_AFTER", 0.01)
    monkeypatch.setattr(waiting, "_said", False)
    said: list[str] = []
    watcher = Watcher(world.store, is_served=lambda: False)
    executions = [world.enqueue(), world.enqueue()]
    waits = [asyncio.ensure_future(watcher.wait(one.id, 10)) for one in executions]

    def was_said() -> bool:
        said.append(capsys.readouterr().err)
        return any(said)

    await until(was_said)
    world.run(*executions)
    await asyncio.gather(*waits)
    text = "".join(said) + capsys.readouterr().err
    assert text.count("defer dev") == 1
    assert str(world.store.root) in text


async def test_it_is_said_again_when_something_has_ended_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "_SAY_AFTER", 0.01)
    monkeypatch.setattr(waiting, "_said", False)
    watcher = Watcher(world.store, is_served=lambda: False)
    for _ in range(2):
        execution = world.enqueue()
        wait = asyncio.ensure_future(watcher.wait(execution.id, 10))
        await until(lambda: "defer dev" in capsys.readouterr().err)
        world.run(execution)
        await wait


async def test_with_an_emulator_nothing_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "_SAY_AFTER", 0.01)
    monkeypatch.setattr(waiting, "_said", False)
    asked: list[bool] = []

    def is_served() -> bool:
        asked.append(True)
        return True

    execution = world.enqueue()
    wait = asyncio.ensure_future(Watcher(world.store, is_served).wait(execution.id, 10))
    await until(lambda: len(asked) > 1)
    world.run(execution)
    await wait
    assert capsys.readouterr().err == ""


async def test_the_poll_ends_with_the_last_wait_and_begins_with_the_next(world: World) -> None:
    watcher = Watcher(world.store, is_served=lambda: True)
    for _ in range(2):
        execution = world.enqueue()
        with pytest.raises(TimeoutError):
            await watcher.wait(execution.id, 0.01)
        await until(lambda: watcher._poller is None)


async def test_a_file_that_is_gone_ends_the_wait_with_its_error(world: World) -> None:
    execution = world.enqueue()
    wait = asyncio.ensure_future(Watcher(world.store, is_served=lambda: True).wait(execution.id, 10))
    await asyncio.sleep(0)
    world.store.close()
    assert world.store.root is not None
    shutil.rmtree(world.store.root / ".defer")
    with pytest.raises(StateFileError):
        await wait
