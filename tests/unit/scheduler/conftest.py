"""A real scheduler over a real store in memory, on a clock that stands until it is moved."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from defer_client import wire
from defer_client.models import Arguments, Call, Execution
from defer_client.retry import NO_RETRY, RetryPolicy
from defer_client.sync import run
from defer_emulator.backend import LocalBackend
from defer_emulator.clock import ManualClock
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec
from defer_emulator.operations import LocalOperations
from defer_emulator.scheduler.loop import Scheduler
from defer_emulator.store.store import Store
from tests.fakes import FakeBus, FakePool

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=timezone.utc)


class Bench:
    """What a test moves and looks at."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.clock = ManualClock(START)
        self.store = Store.in_memory(self.clock)
        self.pool = FakePool()
        self.bus = FakeBus()
        self.specs: dict[str, FunctionSpec] = {}
        self.broken: dict[str, BrokenFunction] = {}
        self.max_concurrency = 100
        self.scheduler = self._new_scheduler()
        self.backend = LocalBackend(self.store, wake=lambda: None)
        self.operations = LocalOperations(self.store, wake=lambda: None)

    def _new_scheduler(self, **options: Any) -> Scheduler:
        return Scheduler(
            store=self.store,
            pool=self.pool.listen,
            bus=self.bus,
            backend_for=lambda parent: LocalBackend(self.store, parent=parent, wake=lambda: None),
            max_concurrency=self.max_concurrency,
            chance=lambda: 0.5,
            **options,
        )

    # --- the project ----------------------------------------------------------------------

    def function(
        self,
        name: str,
        *,
        cron: str | None = None,
        retry: RetryPolicy = NO_RETRY,
        concurrency: int | None = None,
        cancel: bool = False,
    ) -> None:
        self.specs[name] = FunctionSpec(
            name=name,
            module=f"defer.{name}",
            file=f"defer/{name}.py",
            line=1,
            kind="background" if cron is None else "cron",
            cron=cron,
            retry=retry,
            concurrency=concurrency,
            max_concurrency_action="cancel" if cancel else "keep",
        )
        self.load()

    def load(self) -> None:
        ready = [spec for name, spec in self.specs.items() if name not in self.broken]
        self.do(lambda: self.scheduler.adopt(ready, self.broken))

    def breaks(self, name: str, reason: str) -> None:
        self.broken[name] = BrokenFunction(reason=reason)
        self.load()

    # --- life -----------------------------------------------------------------------------

    def start(self, max_concurrency: int = 100, **options: Any) -> None:
        """A new emulator over the same file, that claims; `options` are those of its scheduler."""
        self.max_concurrency = max_concurrency
        self.scheduler = self._new_scheduler(**options)
        self.scheduler.recover()
        self.load()
        self.do(self.scheduler.start)

    def crash(self) -> None:
        """The emulator and all its workers are gone, and nothing more is written."""
        self.scheduler._poller and self.scheduler._poller.cancel()
        self.pool = FakePool(self.pool.workers)

    def do(self, action: Any = lambda: None) -> None:
        """Do something in the event loop, and let the scheduler tick until it has nothing to do."""

        async def turn() -> None:
            action()
            for _ in range(10):
                self.scheduler.wake()
                for _ in range(4):
                    await asyncio.sleep(0)

        self._loop.run_until_complete(turn())

    def turn(self, action: Any) -> None:
        """Do something in the event loop, and let it turn without waiting for anything."""

        async def turn() -> None:
            action()
            for _ in range(4):
                await asyncio.sleep(0)

        self._loop.run_until_complete(turn())

    def until(self, condition: Callable[[], object]) -> None:
        """Let the event loop turn until something is so: what needs real time."""

        async def wait() -> None:
            deadline = time.monotonic() + 15
            while not condition():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)

        self._loop.run_until_complete(wait())

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(**time))
        self.do()

    # --- calls ----------------------------------------------------------------------------

    def call(self, name: str, *arguments: Any, parent: str | None = None, **options: Any) -> Execution:
        backend = LocalBackend(self.store, parent=parent, wake=lambda: None)
        call = Call(function_name=name, arguments=Arguments(positional=arguments), **options)
        execution = run(backend.enqueue(call), immediate=True)
        self.do()
        return execution

    def get(self, execution: Execution) -> Execution:
        return run(self.backend.get_execution(execution.id), immediate=True)

    def states(self, *executions: Execution) -> list[str]:
        return [self.get(execution).state.value for execution in executions]

    def cancel(self, execution: Execution, *, force: bool = False) -> None:
        run(self.backend.cancel_execution(execution.id, force=force), immediate=True)
        self.do()

    def succeed(self, name: str, result: str = "null") -> None:
        self.do(lambda: self.pool.succeed(name, result))

    def fail(self, name: str, end: Any = "raised") -> None:
        self.do(lambda: self.pool.fail(name, end))

    def request(self, name: str, number: int, method: str, **params: Any) -> None:
        """The running execution of `name` asks its backend something."""
        job = self.pool.running(name)
        self.do(lambda: self.scheduler.on_request(job.sequence, number, method, params))

    def await_child(self, parent: str, number: int, child: str, **options: Any) -> str:
        """`await_result(child)()` inside the running execution of `parent`; the child's id."""
        call = Call(function_name=child, awaited=True, **options)
        self.request(parent, number, "enqueue", call=wire.call_to_json(call))
        answer = self.answer(number)
        self.request(parent, number + 1, "wait", execution_id=answer["id"])
        child_id: str = answer["id"]
        return child_id

    def answer(self, number: int) -> Any:
        """What the pool was told to answer to a request; None while it waits."""
        found = [answer for answer in self.pool.answers if answer[1] == number]
        assert len(found) <= 1, "answered twice"
        return (found[0][2] or found[0][3]) if found else None

    def spec(self, name: str, **changes: Any) -> None:
        self.specs[name] = replace(self.specs[name], **changes)
        self.load()


@pytest.fixture
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    bench = Bench(loop)
    bench.start()
    yield bench
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
