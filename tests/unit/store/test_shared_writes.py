"""Calls of one turn of the event loop share a transaction, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from defer_client.errors import CronInvocationError
from defer_client.models import Call, Execution, Page
from defer_emulator.backend import LocalBackend
from defer_emulator.operations import Search
from defer_emulator.store.shared_writes import SharedWrites
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
