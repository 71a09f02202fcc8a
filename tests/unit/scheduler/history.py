"""A scheduler that can be driven through any history.

The store, the scheduler and the backends are the real ones; only the clock and the worker processes are not.
A trigger in the database writes down each change of a state, so that none can hide inside a transaction.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from sqlite3 import Row
from typing import Any

from defer_client import wire
from defer_client.errors import DeferError, StateFileError
from defer_client.models import Arguments, Call, Execution
from defer_client.sync import run
from defer_emulator.backend import LocalBackend
from defer_emulator.clock import ManualClock
from defer_emulator.domain.cron import next_after
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec
from defer_emulator.domain.jobs import Job
from defer_emulator.operations import LocalOperations
from defer_emulator.scheduler.loop import Scheduler
from defer_emulator.store.store import Store
from defer_emulator.store.transaction import Transaction
from tests.fakes import FakeBus, FakePool
from tests.unit.scheduler.conftest import START

MINUTE = 60_000_000  # µs

_WATCH = """
CREATE TABLE seen_states (sequence INTEGER NOT NULL, old TEXT, new TEXT NOT NULL);
CREATE TRIGGER seen_birth AFTER INSERT ON executions BEGIN
    INSERT INTO seen_states VALUES (new.sequence, NULL, new.state);
END;
CREATE TRIGGER seen_change AFTER UPDATE OF state ON executions WHEN new.state <> old.state BEGIN
    INSERT INTO seen_states VALUES (new.sequence, old.state, new.state);
END;
"""


class SlowPool(FakePool):
    """A pool whose processes take their time to die, and that says when one starts or goes on."""

    def __init__(self, workers: int, on_start: Callable[[Job], None], on_resume: Callable[[], None]) -> None:
        super().__init__(workers)
        self.dying: set[int] = set()
        self.pending: dict[int, dict[int, str]] = {}  # by sequence: the waits that are not answered
        self._on_start = on_start
        self._on_resume = on_resume

    def start(self, job: Job) -> None:
        assert self.room > 0, "started without an idle worker"
        super().start(job)
        self._on_start(job)

    def kill(self, sequence: int) -> None:
        assert sequence in self.jobs
        self.dying.add(sequence)

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        super().answer(sequence, request, result, error)
        was_parked = sequence in self.pending
        self.forget(sequence, request)
        if was_parked and sequence not in self.pending:
            self._on_resume()

    def forget(self, sequence: int, request: int) -> None:
        waits = self.pending.get(sequence, {})
        waits.pop(request, None)
        if not waits:
            self.pending.pop(sequence, None)

    def end(self, sequence: int, end: Any, result: str | None = None, message: str = "no") -> None:
        self.pending.pop(sequence, None)
        if sequence in self.dying:
            self.dying.discard(sequence)
            end, result = "killed", None
        super().end(sequence, end, result, message)

    @property
    def parked(self) -> set[int]:
        return set(self.pending)

    def able(self) -> list[int]:
        """What runs and may do something: neither parked nor dying."""
        return [sequence for sequence in self.jobs if sequence not in self.pending.keys() | self.dying]


class FullDisk:
    """The scheduler's store: while `failures` lasts, each transaction fails at its end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failures = 0

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._store.write() as tx:
            yield tx
            if self.failures:
                self.failures -= 1
                raise StateFileError("the disk is full")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class History:
    """One project's life, as a test plays it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _loop, context: self._troubles.append(context))
        self._troubles: list[dict[str, Any]] = []  # what went wrong in callbacks
        self.clock = ManualClock(START)
        self.store = Store.in_memory(self.clock)
        self.disk = FullDisk(self.store)
        self.backend = LocalBackend(self.store, wake=lambda: None)
        self.operations = LocalOperations(self.store, wake=lambda: None)
        with self.store._database._use() as connection:
            connection.executescript(_WATCH)
        self.specs: dict[str, FunctionSpec] = {}
        self.broken: dict[str, BrokenFunction] = {}
        self.max_concurrency = 3
        self.workers = 100
        self.generation = 0
        self.scheduler: Scheduler | None = None
        self.pool = SlowPool(0, self._on_start, self._on_resume)
        self.calls: dict[str, tuple[str, str]] = {}  # acknowledged: id → function and argument
        self.looked_at: dict[str, int] = {}  # cron → until when its minutes are dealt with, µs
        self.expected_fires: Counter[str] = Counter()
        self.requests = 0
        self._numbers = 0

    def close(self) -> None:
        if self.scheduler is not None:
            self.crash()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        self.store.close()

    # --- the emulator's life ----------------------------------------------------------------

    def start(self) -> None:
        """A new emulator on the same file."""
        assert self.scheduler is None
        self.pool = SlowPool(self.workers, self._on_start, self._on_resume)
        self.pool.generation = self.generation = self.generation + 1
        self.scheduler = Scheduler(
            store=self.disk,  # type: ignore[arg-type]
            pool=self.pool.listen,
            bus=FakeBus(),
            backend_for=lambda parent: LocalBackend(self.store, parent=parent, wake=lambda: None),
            max_concurrency=self.max_concurrency,
            chance=lambda: 0.5,
        )
        self.scheduler.recover()
        assert not self.rows("SELECT 1 FROM executions WHERE state IN ('started', 'aborting')")
        self.adopt()
        self.do(self.scheduler.start)

    def crash(self) -> None:
        """The emulator and its workers are gone, and nothing more is written."""
        scheduler, self.scheduler = self.scheduler, None
        assert scheduler is not None
        scheduler.halt()

    def stop_at_once(self) -> None:
        """SIGTERM: the workers are killed, and what ran is written down as interrupted."""
        assert self.scheduler is not None
        self.scheduler.close()
        self.crash()
        assert not self.rows("SELECT 1 FROM executions WHERE state IN ('started', 'aborting')")

    def drain(self) -> None:
        """Ctrl-C: what can end does, parents of others are put back."""
        scheduler = self.scheduler
        assert scheduler is not None
        begun = len(self.rows("SELECT 1 FROM seen_states WHERE new = 'started'"))
        ran = {sequence: job.attempt for sequence, job in self.pool.jobs.items()}
        draining = self.loop.create_task(scheduler.drain(lambda _left: None))
        self.do()
        while not draining.done():
            able = self.pool.able()
            assert able or self.pool.dying, "the drain hangs on what only waits"
            self.end(able[0] if able else min(self.pool.dying), "returned")
        assert not self.pool.jobs
        for row in self.rows("SELECT sequence, attempt FROM executions WHERE state = 'created'"):
            if row["sequence"] in ran:
                assert row["attempt"] == ran[row["sequence"]] - 1, "put back, and no attempt consumed"
        assert len(self.rows("SELECT 1 FROM seen_states WHERE new = 'started'")) == begun, "a start"
        self.stop_at_once()

    def do(self, action: Callable[[], object] = lambda: None) -> None:
        """Do something, and let the scheduler tick until it has nothing to do."""

        async def turn() -> None:
            action()
            scheduler = self.scheduler
            if scheduler is None:
                return
            self._expect_crons()
            scheduler.wake()
            while scheduler._alarm._soon is not None or scheduler._serving.is_busy:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await asyncio.sleep(0)  # whoever waits for the tick

        self.loop.run_until_complete(turn())
        for trouble in self._troubles:
            raise trouble.get("exception") or AssertionError(trouble["message"])

    def adopt(self) -> None:
        """The project's code is loaded anew."""
        scheduler, now = self.scheduler, self.store.now()
        if scheduler is None:
            return
        before = {one.spec.name: one for one in self.store.functions()}
        ready = [spec for name, spec in self.specs.items() if name not in self.broken]
        for spec in ready:
            old = before.get(spec.name)
            if spec.cron and (old is None or old.spec.cron != spec.cron or old.cron_after is None):
                self.looked_at[spec.name] = now
        self.pool.generation = self.generation = self.generation + 1
        self.do(lambda: scheduler.adopt(ready, self.broken))

    # --- crons ------------------------------------------------------------------------------

    def _expect_crons(self) -> None:
        """The scheduler is going to look at the clock: which minutes must it fire?"""
        now = self.store.now()
        if self.disk.failures:
            return
        for function in self.store.functions():
            name, spec = function.spec.name, function.spec
            if spec.cron is None or name not in self.looked_at or function.status == "removed":
                continue
            after = max(self.looked_at[name], now - MINUTE - 1)
            while not function.paused and (after := next_minute(spec.cron, after)) <= now:
                self.expected_fires[name] += 1
            self.looked_at[name] = max(self.looked_at[name], now)

    def move_clock(self, by: timedelta) -> None:
        """`defer clock`, forwards or back."""
        with self.store.write() as tx:
            before = tx.now
            tx.set_clock(offset=tx.clock.offset + by // timedelta(microseconds=1), frozen_at=None)
            if tx.now < before:
                for name in self.looked_at:
                    self.looked_at[name] = min(self.looked_at[name], tx.now)
        self.do()

    # --- calls ------------------------------------------------------------------------------

    def call(self, function: str, *, parent: str | None = None, **options: Any) -> Execution:
        self._numbers += 1
        argument = f"{function}-{self._numbers}"
        call = Call(function_name=function, arguments=Arguments(positional=[argument]), **options)
        backend = LocalBackend(self.store, parent=parent, wake=lambda: None)
        execution = run(backend.enqueue(call), immediate=True)
        self.calls[execution.id] = (function, argument)
        self.do()
        return execution

    def request(self, sequence: int, method: str, **params: Any) -> Any:
        """A running function asks its backend; the answer, None while there is none."""
        scheduler = self.scheduler
        assert scheduler is not None
        self.requests += 1
        number = self.requests
        if method == "wait" and not self.store.get(params["execution_id"]).state.is_final:
            self.pool.pending.setdefault(sequence, {})[number] = params["execution_id"]
        self.do(lambda: scheduler.on_request(sequence, number, method, params))
        found = [answer for answer in self.pool.answers if answer[1] == number]
        return (found[0][2] or found[0][3]) if found else None

    def await_child(self, sequence: int, function: str, delay: timedelta | None) -> Any:
        """`await_result(function)()` inside what runs; the error, if it is refused."""
        self._numbers += 1
        argument = f"{function}-{self._numbers}"
        call = Call(
            function_name=function, arguments=Arguments(positional=[argument]), delay=delay, awaited=True
        )
        answer = self.request(sequence, "enqueue", call=wire.call_to_json(call))
        if "error" in answer:
            return answer
        self.calls[answer["id"]] = (function, argument)
        if sequence in self.pool.jobs and sequence not in self.pool.dying:
            self.request(sequence, "wait", execution_id=answer["id"])
        return None

    def give_up(self, sequence: int, request: int) -> None:
        """The wait of a running function has timed out there."""
        scheduler = self.scheduler
        assert scheduler is not None
        self.pool.forget(sequence, request)
        self.do(lambda: scheduler.on_request_cancelled(sequence, request))

    def end(self, sequence: int, end: str) -> None:
        self.do(lambda: self.pool.end(sequence, end, '"done"' if end == "returned" else None))

    def attempt(self, action: Callable[[], Any]) -> str | None:
        """Do what may be refused; the name of the error."""
        try:
            action()
        except DeferError as error:
            return type(error).__name__
        finally:
            self.do()
        return None

    # --- looking ----------------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[Row]:
        with self.store._database.read() as connection:
            return connection.execute(query, values).fetchall()

    def registered(self, name: str) -> FunctionSpec:
        """With the options that count now."""
        return next(one.spec for one in self.store.functions() if one.spec.name == name)

    def describe(self) -> list[str]:
        rows = self.rows("SELECT * FROM executions WHERE finished_at IS NULL ORDER BY sequence")
        return [
            f"{row['sequence']} {row['function']} {row['state']} priority {row['priority']}"
            f" waits {list(self.pool.pending.get(row['sequence'], {}).values())} id {row['id'][-8:]}"
            for row in rows
        ]

    def free_places(self) -> int:
        return self.max_concurrency - (len(self.pool.jobs) - len(self.pool.parked))

    def _on_start(self, job: Job) -> None:
        """A job was handed to the pool. All starts of its tick are committed."""

    def _on_resume(self) -> None:
        """The last wait of a running function was answered."""


@lru_cache(maxsize=10_000)
def next_minute(cron: str, after: int) -> int:
    minute = next_after(cron, after)
    assert minute is not None
    return minute
