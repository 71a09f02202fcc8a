"""A scheduler that can be driven through any history, and the promises that must hold at every moment of it.

The store, the scheduler and the backends are the real ones; only the clock and the worker processes are not.
A trigger in the database writes down each change of a state, so that none can hide inside a transaction.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from sqlite3 import Row
from typing import Any

from defer_client import wire
from defer_client.errors import DeferError, StateFileError
from defer_client.models import Arguments, Call, Execution, State
from defer_client.sync import run
from defer_emulator.backend import LocalBackend
from defer_emulator.clock import ManualClock
from defer_emulator.domain.cron import next_after
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec
from defer_emulator.domain.jobs import Job
from defer_emulator.domain.states import NEXT
from defer_emulator.operations import LocalOperations
from defer_emulator.scheduler.loop import LONGEST_SLEEP, Scheduler
from defer_emulator.store.store import Store
from defer_emulator.store.transaction import Transaction
from tests.fakes import FakeBus, FakePool
from tests.unit.scheduler.conftest import START

MINUTE = 60_000_000  # µs
ALLOWED = {(old.value, new.value) for (old, _), new in NEXT.items()}

_WATCH = """
CREATE TABLE seen_states (sequence INTEGER NOT NULL, old TEXT, new TEXT NOT NULL);
CREATE TRIGGER seen_birth AFTER INSERT ON executions BEGIN
    INSERT INTO seen_states VALUES (new.sequence, NULL, new.state);
END;
CREATE TRIGGER seen_change AFTER UPDATE OF state ON executions WHEN new.state <> old.state BEGIN
    INSERT INTO seen_states VALUES (new.sequence, old.state, new.state);
END;
"""
# What may start now, in its order, with what its function's limit leaves.
_RUNNABLE = """
SELECT e.sequence, e.function, e.priority, e.scheduled_at, e.started_at, f.concurrency,
    (SELECT count(*) FROM executions AS r
     WHERE r.function = e.function AND r.state IN ('started', 'aborting')) AS taken
FROM executions AS e JOIN functions AS f ON f.name = e.function
WHERE e.state = 'created' AND e.scheduled_at <= ? AND f.status = 'ready' AND NOT f.paused
    AND NOT (SELECT paused FROM project)
ORDER BY e.priority DESC, e.scheduled_at, e.sequence
"""


class SlowPool(FakePool):
    """A pool whose processes take their time to die, and that asks `on_start` before it starts anything."""

    def __init__(self, workers: int, on_start: Callable[[Job], None]) -> None:
        super().__init__(workers)
        self.dying: set[int] = set()
        self.pending: dict[int, dict[int, str]] = {}  # by sequence: the waits that are not answered
        self._on_start = on_start

    def start(self, job: Job) -> None:
        assert self.idle > 0, "started without an idle worker"
        super().start(job)
        self._on_start(job)

    def kill(self, sequence: int) -> None:
        assert sequence in self.jobs
        self.dying.add(sequence)

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        super().answer(sequence, request, result, error)
        self.forget(sequence, request)

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
    """One project's life: what a test does, and `check`, which holds what happened against the promises."""

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
        self.pool = SlowPool(0, self._on_start)
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
        self.pool = SlowPool(self.workers, self._on_start)
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
        for handle in (
            scheduler._soon,
            scheduler._timer,
            scheduler._log_timer,
            scheduler._poller,
            *scheduler._requests,
        ):
            if handle is not None:
                handle.cancel()

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
        draining = self.loop.create_task(scheduler.drain(lambda _left: None))
        self.do()
        while not draining.done():
            able = self.pool.able()
            assert able or self.pool.dying, "the drain hangs on what only waits"
            self.end(able[0] if able else min(self.pool.dying), "returned")
        assert not self.pool.jobs
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
            while scheduler._soon is not None or scheduler._requests:  # noqa: ASYNC110
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
            while not function.paused and (after := _next(spec.cron, after)) <= now:
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
        if method == "wait":
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

    def runnable(self) -> list[Row]:
        """Due, ready, not paused, and with a place in its function's limit; in the order of the spec."""
        found = [
            row
            for row in self.rows(_RUNNABLE, self.store.now())
            if row["concurrency"] is None or row["taken"] < row["concurrency"]
        ]
        ages = {(row["function"], row["scheduled_at"], row["sequence"]) for row in found}
        return [  # of a function with one place, only the first
            row
            for row in found
            if row["concurrency"] != 1
            or (row["function"], row["scheduled_at"], row["sequence"])
            == min(age for age in ages if age[0] == row["function"])
        ]

    def free_places(self) -> int:
        return self.max_concurrency - (len(self.pool.jobs) - len(self.pool.parked))

    def resumable(self) -> list[int]:
        """Who waits for nothing but a place."""
        return [
            sequence
            for sequence, waits in self.pool.pending.items()
            if sequence not in self.pool.dying
            and len(self.store.outcomes(set(waits.values()))) == len(set(waits.values()))
        ]

    def _on_start(self, job: Job) -> None:
        """The promises about each single start. All starts of a tick are committed by now."""
        (row,) = self.rows("SELECT * FROM executions WHERE sequence = ?", job.sequence)
        assert (row["state"], row["attempt"]) == ("started", job.attempt)
        assert row["scheduled_at"] <= self.store.now(), "started before it was due"
        running = Counter(one.function for one in self.pool.jobs.values())
        limit = self.registered(job.function).concurrency
        assert limit is None or running[job.function] <= limit, "the function's limit"
        assert len(self.pool.jobs) - len(self.pool.parked) <= self.max_concurrency, "max_concurrency"
        assert not self._passed_over(), "a parent that could go on comes before anything new"
        mine = (-row["priority"], row["scheduled_at"], row["sequence"])
        for other in self.runnable():
            theirs = (-other["priority"], other["scheduled_at"], other["sequence"])
            assert mine < theirs, f"{other['sequence']} should have started before {job.sequence}"
        if limit == 1:
            older = """SELECT sequence FROM executions WHERE function = ? AND state = 'created'
                AND (scheduled_at, sequence) < (?, ?)"""
            found = self.rows(older, job.function, row["scheduled_at"], job.sequence)
            assert not found, "concurrency=1 is strictly first in, first out"
        (attempt,) = self.rows(
            "SELECT * FROM attempts WHERE sequence = ? ORDER BY attempt DESC LIMIT 1", job.sequence
        )
        assert (attempt["attempt"], attempt["generation"]) == (job.attempt, self.pool.generation)

    def _passed_over(self) -> list[int]:
        """Who could go on; without those whose child was cancelled by its limit in the very same claim."""
        now = self.store.now()
        by_limit = self.rows("SELECT id FROM executions WHERE ended_by = 'limit' AND finished_at = ?", now)
        just_cancelled = {row["id"] for row in by_limit}
        return [
            sequence
            for sequence in self.resumable()
            if just_cancelled.isdisjoint(self.pool.pending[sequence].values())
        ]

    # --- the promises -----------------------------------------------------------------------

    def check(self) -> None:
        """What must hold whenever the scheduler has nothing to do."""
        executions = self.rows("SELECT * FROM executions ORDER BY sequence")
        self._check_nothing_is_lost(executions)
        self._check_states(executions)
        self._check_attempts(executions)
        self._check_crons(executions)
        if self.scheduler is not None:
            self._check_alive(executions)

    def _check_nothing_is_lost(self, executions: list[Row]) -> None:
        kept = {
            row["id"]: (row["function"], json.loads(row["arguments"])["positional"][0])
            for row in executions
            if row["id"] in self.calls
        }
        assert kept == self.calls

    def _check_states(self, executions: list[Row]) -> None:
        births, last = Counter[int](), {}
        for row in self.rows("SELECT * FROM seen_states ORDER BY rowid"):
            last[row["sequence"]] = row["new"]
            if row["old"] is None:
                births[row["sequence"]] += 1
                assert row["new"] == "created"
            else:
                assert (row["old"], row["new"]) in ALLOWED
        assert births == {row["sequence"]: 1 for row in executions}
        assert last == {row["sequence"]: row["state"] for row in executions}
        for row in executions:
            ended = State(row["state"]).is_final
            assert (row["finished_at"] is not None) == ended
            assert (row["result"] is not None) == (row["state"] == "succeed")
            assert (row["failure"] is not None) == (row["state"] == "failed")

    def _check_attempts(self, executions: list[Row]) -> None:
        attempts: dict[int, list[Row]] = {row["sequence"]: [] for row in executions}
        for row in self.rows("SELECT * FROM attempts ORDER BY sequence, attempt"):
            attempts[row["sequence"]].append(row)
        for row in executions:
            mine = attempts[row["sequence"]]
            assert [one["attempt"] for one in mine] == list(range(1, row["attempt"] + 1))
            assert all(State(one["state"]).is_final for one in mine[:-1])
            runs = row["state"] in ("started", "aborting")
            if mine:
                assert (mine[-1]["finished_at"] is None) == runs
                assert not runs or mine[-1]["state"] == row["state"]
            assert not runs or row["started_at"] == mine[-1]["started_at"]

    def _check_crons(self, executions: list[Row]) -> None:
        fired = Counter(row["function"] for row in self.rows("SELECT function FROM cron_fires"))
        assert fired == +self.expected_fires, "each due minute exactly once"
        made = Counter(
            row["function"]
            for row in executions
            if row["id"] not in self.calls and not row["rerun_of"] and row["function"] in fired
        )
        assert made == fired

    def _check_alive(self, executions: list[Row]) -> None:
        now, pool = self.store.now(), self.pool
        assert {row["sequence"] for row in executions if row["state"] in ("started", "aborting")} == set(
            pool.jobs
        ), "what is said to run does, and nothing else"
        aborting = {row["sequence"] for row in executions if row["state"] == "aborting"}
        assert aborting <= pool.dying, "an abort kills"
        free = self.free_places()
        assert free <= 0 or not self.resumable(), "a parent that could go on has a place"
        waiting = self.runnable()
        if waiting and free > 0:
            assert pool.idle <= 0, f"{waiting[0]['sequence']} could run"
            assert pool.wanted, "the pool is asked for workers"
        for row in executions:
            if row["state"] == "created" and row["started_at"] is None:
                assert row["discard_at"] is None or row["discard_at"] > now, "discarded in time"
        self._check_limit_action(now)
        self._check_alarm(executions, now)

    def _check_limit_action(self, now: int) -> None:
        cancelling = {name for name, spec in self.specs.items() if spec.max_concurrency_action == "cancel"}
        for row in self.rows(_RUNNABLE, now):
            limit = row["concurrency"]
            if row["function"] in cancelling and limit is not None and row["taken"] >= limit:
                assert row["started_at"] is not None, "beyond the limit it is cancelled"

    def _check_alarm(self, executions: list[Row], now: int) -> None:
        """The scheduler wakes up by itself when the next thing is due."""
        ready = {one.spec.name: one for one in self.store.functions()}
        runs = {name for name, one in ready.items() if one.status == "ready" and not one.paused}
        moments = [
            row["scheduled_at"]
            for row in executions
            if row["state"] == "created" and row["function"] in runs and row["scheduled_at"] > now
        ]
        moments += [
            row["discard_at"]
            for row in executions
            if row["state"] == "created" and row["started_at"] is None and row["discard_at"]
        ]
        for name, after in self.looked_at.items():
            spec = ready[name].spec if name in ready else None
            if spec is not None and spec.cron and ready[name].status != "removed":
                moments.append(_next(spec.cron, after))
        assert self.scheduler is not None and self.scheduler._timer is not None
        planned = self.scheduler._timer.when() - self.loop.time()
        due = min(((moment - now) / 1_000_000 for moment in moments), default=LONGEST_SLEEP)
        assert planned <= max(due, 0.0) + 0.001, "it sleeps too long"


@lru_cache(maxsize=10_000)
def _next(cron: str, after: int) -> int:
    minute = next_after(cron, after)
    assert minute is not None
    return minute
