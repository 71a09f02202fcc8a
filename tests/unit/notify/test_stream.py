"""Events for a reader who may be slow."""

from __future__ import annotations

import asyncio

from defer_emulator.notify.events import Bus, FindingsChanged, Reloaded, Resync, Trouble
from defer_emulator.operations.live import Live

RELOADED = Reloaded(generation=2, changed=(), added=(), removed=(), updated=(), broken=(), seconds=0.1)


def trouble(number: int) -> Trouble:
    return Trouble(message=str(number))


def test_a_reader_gets_what_is_published_from_now_on() -> None:
    async def read() -> None:
        bus, live = Bus(), Live()
        bus.subscribe(live.event)
        bus.publish(trouble(1))
        with live.stream() as events:
            bus.publish(trouble(2))
            bus.publish(trouble(3))
            assert await events.next() == [trouble(2), trouble(3)]
            later = asyncio.create_task(events.next())
            await asyncio.sleep(0)
            bus.publish(trouble(4))
            assert await later == [trouble(4)]
        bus.publish(trouble(5))
        assert await events.next() == []

    asyncio.run(read())


def test_without_news_a_reader_waits_as_long_as_it_says() -> None:
    async def read() -> None:
        with Live().stream() as events:
            assert await events.next(timeout=0.001) == []

    asyncio.run(read())


def test_a_slow_reader_is_told_to_look_at_everything_anew() -> None:
    async def read() -> None:
        live = Live()
        with live.stream(size=3) as slow, live.stream(size=100) as quick:
            for number in range(5):
                live.event(trouble(number))
            assert await slow.next() == [Resync(), trouble(4)]
            assert len(await quick.next()) == 5
            live.event(trouble(6))
            assert await slow.next() == [trouble(6)]

    asyncio.run(read())


def test_the_end_of_the_emulator_ends_every_wait() -> None:
    async def read() -> None:
        live = Live()
        with live.stream() as events:
            waiting = asyncio.create_task(events.next())
            await asyncio.sleep(0)
            live.close()
            assert await waiting == []
            assert events.is_closed

    asyncio.run(read())


def test_what_was_told_last_is_remembered() -> None:
    async def read() -> None:
        live = Live()
        assert (live.reload, live.findings, live.version) == (None, None, 0)
        with live.stream() as events:
            live.event(RELOADED)
            live.event(trouble(1))
            live.diagnostics([])
            assert await events.next() == [RELOADED, trouble(1), FindingsChanged()]
        assert live.reload is not None and live.reload.event == RELOADED
        assert [told.event for told in live.troubles] == [trouble(1)]
        assert live.findings == () and live.version == 3

    asyncio.run(read())
