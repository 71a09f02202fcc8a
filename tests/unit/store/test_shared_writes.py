"""Calls of one turn of the event loop share a transaction, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from defer_client.errors import CronInvocationError, StateFileError
from defer_client.models import Call, Execution, Page
from defer_emulator.backend import LocalBackend
from defer_emulator.operations import Search
from defer_emulator.store.shared_writes import SharedWrites
from defer_emulator.store.store import Store
from defer_emulator.store.transaction import Transaction
from tests.unit.store.world import World, spec


def together(world: World, *names: str) -> list[Execution | BaseException]:
    """What calls of these functions give that are made in the same turn of the loop."""

    async def calls() -> list[Execution | BaseException]:
        backend = LocalBackend(world.store, wake=lambda: None, shared=SharedWrites(world.store))
        asked: list[Coroutine[Any, Any, Execution]] = [
            backend.enqueue(Call(function_name=name)) for name in names
        ]
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(calls())


def stored(world: World) -> list[str]:
    """The functions of what is stored, oldest first."""
    page = world.call(world.operations.search(Page(first=100), Search()))
    return [execution.function_name for execution in reversed(page.data)]


def test_calls_of_one_turn_are_one_transaction_in_their_order(world: World) -> None:
    before = world.store.revision()
    found = together(world, "add", "send", "job")
    assert [one.function_name for one in found if isinstance(one, Execution)] == ["add", "send", "job"]
    assert stored(world) == ["add", "send", "job"]
    assert world.store.revision() == before + 1


def test_a_call_that_is_refused_takes_no_other_with_it(world: World) -> None:
    world.register(spec("tick", cron="* * * * *"))
    first, refused, last = together(world, "add", "tick", "send")
    assert isinstance(refused, CronInvocationError)
    assert isinstance(first, Execution)
    assert isinstance(last, Execution)
    assert stored(world) == ["add", "send"]


def test_one_that_does_not_fit_on_the_disk_takes_no_other_with_it(world: World) -> None:
    async def calls() -> list[Any]:
        shared = SharedWrites(world.store)

        def does_not_fit(tx: Transaction) -> None:
            tx._connection.execute("ROLLBACK")  # as SQLite does then
            raise sqlite3.OperationalError("database or disk is full")

        def pauses(tx: Transaction) -> int:
            tx.pause(None, paused=True)
            return tx.revision

        asked = [shared.write(pauses), shared.write(does_not_fit), shared.write(pauses)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, refused, last = asyncio.run(calls())
    assert isinstance(refused, StateFileError)
    assert "full" in str(refused)
    assert first == last == world.store.revision()
    assert world.store.is_paused()


def test_what_cannot_be_committed_is_acknowledged_to_nobody(world: World) -> None:
    async def calls() -> list[BaseException | None]:
        shared = SharedWrites(world.store)

        def fine(tx: Transaction) -> None:
            tx.pause(None, paused=True)

        def breaks(tx: Transaction) -> None:
            tx._connection.execute("ROLLBACK")  # as a full disk does

        return await asyncio.gather(shared.write(fine), shared.write(breaks), return_exceptions=True)

    first, second = asyncio.run(calls())
    assert isinstance(first, BaseException)
    assert isinstance(second, BaseException)
    assert not world.store.is_paused()


def test_a_file_that_cannot_be_written_is_tried_once_for_all(tmp_path: Path) -> None:
    (tmp_path / ".defer").mkdir()
    store = Store.open(tmp_path)
    tried: list[Transaction] = []

    async def calls() -> list[Any]:
        shared = SharedWrites(store)
        (tmp_path / ".defer" / "state.db").unlink()
        return await asyncio.gather(*[shared.write(tried.append) for _ in range(3)], return_exceptions=True)

    assert [type(one) for one in asyncio.run(calls())] == [StateFileError] * 3
    assert not tried


def test_who_gives_up_waiting_does_not_stop_the_others(world: World) -> None:
    async def calls() -> Execution:
        backend = LocalBackend(world.store, wake=lambda: None, shared=SharedWrites(world.store))
        impatient = asyncio.ensure_future(backend.enqueue(Call(function_name="add")))
        patient = asyncio.ensure_future(backend.enqueue(Call(function_name="send")))
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        return await patient

    assert asyncio.run(calls()).function_name == "send"
    assert stored(world) == ["add", "send"]
