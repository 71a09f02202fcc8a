"""The scheduler: one tick after another, each one transaction.

A tick settles what has ended, looks at what others wrote, discards, fires crons, and claims what is due.
Only after its commit is anything started, answered or told. A tick that cannot be written loses nothing:
what it wanted to settle stays here and is tried again.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from defer_client import wire
from defer_client.backend import Backend
from defer_client.errors import StateFileError
from defer_client.models import Attempt, State
from defer_client.retry import NO_RETRY, RetryPolicy
from defer_emulator.domain import settlement
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec, RegisteredFunction
from defer_emulator.scheduler.alarm import Alarm
from defer_emulator.scheduler.clock_control import ClockControl, given
from defer_emulator.scheduler.crons import CronTable, Due, fire
from defer_emulator.scheduler.ports import (
    Change,
    Claim,
    Completion,
    Job,
    JobEnd,
    Limits,
    Listener,
    LogChunk,
    Pool,
    PoolListener,
    Running,
    SchedulerStore,
    Transaction,
)
from defer_emulator.scheduler.requests import Serving
from defer_emulator.scheduler.telling import Teller
from defer_emulator.scheduler.waits import Answer, Waits

POLL_INTERVAL = 0.05  # seconds: how late a lost wake-up may be noticed
RETRY_INTERVAL = 1.0  # seconds between tries to write a file that cannot be written
POKE_INTERVAL = 0.003  # seconds: how long a call may wait to be seen while every worker is busy
LATER_INTERVAL = 0.01  # seconds: how long a call that is not due may wait to be seen
FLOOD_INTERVAL = 0.003  # seconds: how long a call or an end may wait for others in a flood of short jobs
BATCH_INTERVAL = 0.001  # seconds: how long an end may wait for others, while others run
LOG_INTERVAL = 0.05  # seconds: how late a line that was printed can be read
PARKED_FOR = 0.05  # seconds without a request, after which who waits does nothing else, as far as can be told


def _after_pause(latest: float) -> float:
    return max(0.0, latest + PARKED_FOR - time.monotonic())


@dataclass(kw_only=True, slots=True)
class _Attempt:
    """One that was dispatched. Times are those of `time.monotonic()`."""

    running: Running
    begun: float
    active: float  # when it last asked for something or got an answer


class Scheduler:
    """Decides what runs when. Lives in one event loop; implements `PoolListener`.

    `pool` makes the pool that this scheduler listens to; `backend_for` gives the backend on whose behalf
    an execution, named by its id, calls others; `chance` gives numbers from 0 to 1. `quiet_in` says in how
    many seconds executions that wait are known to do nothing beside it, given when one of them was last
    active (by `time.monotonic()`); None: that is unknown, and `wake` will be called.

    Executions of the functions in `debug` wait for a debugger on that port, one at a time. No execution times
    out then: whoever waits for one of them has to wait longer too.
    """

    def __init__(
        self,
        *,
        store: SchedulerStore,
        pool: Callable[[PoolListener], Pool],
        bus: Listener,
        backend_for: Callable[[str], Backend],
        max_concurrency: int = 100,
        only: Collection[str] = (),
        debug: Mapping[str, int] | None = None,
        chance: Callable[[], float] = random.random,
        quiet_in: Callable[[float], float | None] = _after_pause,
    ) -> None:
        self._store = store
        self._pool = pool(self)
        self._tell = Teller(bus)
        self._max_concurrency = max_concurrency
        self._only = frozenset(only)
        self._debug = debug or {}
        self._chance = chance
        self._known_quiet_in = quiet_in
        self._functions: dict[str, RegisteredFunction] = {}
        self._limits: dict[str, Limits] = {}
        self._crons = CronTable()
        self._clock = ClockControl()
        self._waits = Waits()
        self._active: dict[int, _Attempt] = {}  # by sequence; their processes live
        self._ended: list[tuple[_Attempt, JobEnd]] = []  # over, not yet written
        self._releasing: set[int] = set()  # parents that a clean stop puts back
        self._answers: list[Answer] = []  # to send after the next commit
        self._logs: list[LogChunk] = []
        self._revision = 0
        self._epoch: int | None = None
        self._data_version = -1
        self._claiming = False
        self._troubled = False
        self._has_backlog = False  # something could have started, had there been a worker or a place
        self._alarm = Alarm(self._tick_now)
        self._poller: asyncio.Task[None] | None = None
        self._log_timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        self._serving = Serving(backend_for=backend_for, wait=self._wait, reply=self._reply)

    # --- life -----------------------------------------------------------------------------

    def recover(self) -> int:
        """End what an earlier emulator left running. Call before anything is claimed.

        Returns how many executions that were.
        """
        with self._store.write() as tx:
            self._clock.abandon(tx)
            self._load_functions(tx)
            left = tx.running()
            tx.settle([self._interrupted(running, tx.now) for running in left])
        self._revision = tx.revision
        return len(left)

    def adopt(self, functions: Collection[FunctionSpec], broken: Mapping[str, BrokenFunction]) -> None:
        """Take over the functions of a new generation of code; see `Transaction.register`."""
        with self._store.write() as tx:
            tx.register(functions, broken)
            self._load_functions(tx)
        self.wake()

    def start(self) -> None:
        """Begin to claim, in the running event loop."""
        self._claiming = True
        self._poller = asyncio.get_running_loop().create_task(self._poll())
        self.wake()

    @property
    def functions(self) -> Mapping[str, RegisteredFunction]:
        return self._functions

    @property
    def running_count(self) -> int:
        return len(self._active)

    @property
    def busy_count(self) -> int:
        """How many run and do not wait for others."""
        return self._places_taken()

    async def drain(self, on_progress: Callable[[int], None]) -> None:
        """Start nothing new and return when nothing runs. `on_progress` hears how many still do.

        A parent that waits for a child that does not run is put back: it starts anew another day, and
        that costs no attempt.
        """
        self._claiming = False
        self.wake()
        left = len(self._active)
        while self._active or self._ended:
            self._settled.clear()
            await self._settled.wait()
            if len(self._active) != left:
                left = len(self._active)
                on_progress(left)

    def close(self) -> None:
        """Stop at once. What still runs must have been killed; it is settled as interrupted."""
        self.halt()
        with self._store.write() as tx:
            self._clock.abandon(tx)
            tx.settle([self._completion(attempt, end, tx.now) for attempt, end in self._ended])
            tx.append_logs(self._logs)
            unbegun = self._pool.unbegun
            tx.settle(
                [
                    settlement.release(attempt.running)
                    if sequence in unbegun
                    else self._interrupted(attempt.running, tx.now)
                    for sequence, attempt in self._active.items()
                ]
            )
        self._ended.clear()
        self._logs.clear()
        self._active.clear()

    def halt(self) -> None:
        """Stop as a crash does: nothing more is written. `recover` of another scheduler does the rest."""
        self._claiming = False
        self._serving.cancel()
        self._alarm.cancel()
        for handle in (self._log_timer, self._poller):
            if handle is not None:
                handle.cancel()

    def _load_functions(self, tx: Transaction) -> None:
        functions = tx.functions()
        self._epoch = tx.epoch
        self._functions = {function.spec.name: function for function in functions}
        self._limits = {
            name: self._limits_of(function.spec)
            for name, function in self._functions.items()
            if function.status == "ready" and (not self._only or name in self._only)
        }
        self._crons.update(functions)

    def _limits_of(self, spec: FunctionSpec) -> Limits:
        if spec.name in self._debug:  # there is one port for them
            return Limits(concurrency=1, action="keep")
        return Limits(concurrency=spec.concurrency, action=spec.max_concurrency_action)

    # --- waking up ------------------------------------------------------------------------

    def wake(self) -> None:
        """Something may have to be done: tick at the end of this turn of the event loop."""
        self._alarm.at_once()

    def poke(self) -> None:
        """Something was written that may be due. In a flood, or while nothing more could start, many such
        calls share one tick."""
        if self._pool.is_flooded:
            self._alarm.within(FLOOD_INTERVAL)
        elif self._pool.room and self._free_places():
            self.wake()
        else:
            self._alarm.within(POKE_INTERVAL)

    def poke_later(self) -> None:
        """Something was written that is not due yet. Many such calls share one tick."""
        self._alarm.within(LATER_INTERVAL)

    async def _poll(self) -> None:
        """The slow fallback: a wake-up that was lost costs 50 ms, not the execution."""
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            try:
                has_changed = self._store.data_version() != self._data_version
            except StateFileError:
                has_changed = not self._troubled  # a tick says what is wrong, and tries again by itself
            if has_changed:
                self.wake()

    def _tick_now(self) -> None:
        try:
            self._tick()
        except StateFileError as error:
            self._epoch = None  # whatever was taken from the cron table is read again
            if not self._troubled:
                self._tell.trouble(error)
            self._troubled = True
            self._alarm.after(RETRY_INTERVAL)

    # --- one tick -------------------------------------------------------------------------

    def _tick(self) -> None:
        self._data_version = self._store.data_version()
        with self._store.write() as tx:
            (self._clock.take if self._claiming else self._clock.abandon)(tx)
            now = tx.now
            foreign = tx.changes_since(self._revision)
            if tx.epoch != self._epoch or self._clock.has_begun:
                self._load_functions(tx)
            completions = [self._completion(attempt, end, now) for attempt, end in self._ended]
            completions += self._stale_aborts(foreign)
            settled = tx.settle(completions)
            tx.append_logs([*self._logs, *self._releases(now)])
            discarded = tx.discard_due()
            crons = self._fire_crons(tx)
            self._take_answers((*foreign, *settled, *discarded))
            claim = self._claim(tx)
            self._take_answers(claim.cancelled, taken=len(claim.started))
            moments = given(claim.next_due, tx.next_discard(), self._crons.next_due(paused=False))
            skipped = self._crons.next_due(paused=True)
            quiet_in = self._quiet_in(claim) if self._clock.is_walking else None
            stepped = quiet_in == 0 and self._clock.step(tx, moments, skipped)
        # Committed. Nothing below may fail for want of the file.
        self._revision = tx.revision
        ended, self._ended, self._logs, self._troubled = self._ended, [], [], False
        self._tell_ended(now, ended, completions, settled)
        self._tell.changed(now, foreign, discarded, claim.cancelled)
        self._tell.missed(crons)
        self._tell.clock(self._clock.news)
        self._abort(foreign)
        self._send_answers()
        self._dispatch(now, claim)
        self._release_parked()
        self._plan(claim, given(*moments, skipped), 0 if stepped else quiet_in)
        self._settled.set()

    def _completion(self, attempt: _Attempt, end: JobEnd, now: int) -> Completion:
        if self._is_released(end):
            return settlement.release(attempt.running)
        policy = self._policy(attempt.running.function)
        return settlement.settle(end, policy, now=now, jitter=self._chance())

    def _is_released(self, end: JobEnd) -> bool:
        """Whether a clean stop puts it back."""
        return end.sequence in self._releasing and end.end == "killed"

    def _releases(self, now: int) -> list[LogChunk]:
        """Where the log of one goes on that was put back: its attempt, which has not counted, begins anew."""
        message = "put back by a stop of the emulator while it waited; it starts anew"
        return [
            LogChunk(sequence=end.sequence, attempt=end.attempt, time=now, stream="system", message=message)
            for _, end in self._ended
            if self._is_released(end)
        ]

    def _interrupted(self, running: Running, now: int) -> Completion:
        return settlement.interrupt(running, self._policy(running.function), now=now, jitter=self._chance())

    def _policy(self, function: str) -> RetryPolicy:
        registered = self._functions.get(function)
        return NO_RETRY if registered is None else registered.spec.retry

    def _stale_aborts(self, foreign: Iterable[Change]) -> list[Completion]:
        """An abort of what does not run here: there is nothing to kill, so it is done."""
        ended = {end.sequence for _, end in self._ended}
        return [
            Completion(sequence=change.sequence, attempt=change.attempt, state=State.ABORTED)
            for change in foreign
            if change.state is State.ABORTING and change.sequence not in self._active.keys() | ended
        ]

    def _fire_crons(self, tx: Transaction) -> list[Due]:
        next_due = self._crons.next_due()
        if next_due is None or next_due > tx.now:
            return []
        self._load_functions(tx)  # a pause counts at once
        return fire(tx, self._crons)

    def _take_answers(self, changes: Iterable[Change], *, taken: int = 0) -> None:
        """Find whose waits are over. What is found stays until it could be sent."""
        for change in changes:
            if change.state.is_final:
                self._answers += self._waits.ended(change.id)
        self._answers += self._waits.resume(self._free_places() - taken)

    def _free_places(self) -> int:
        return max(0, self._max_concurrency - self._places_taken())

    def _places_taken(self) -> int:
        """How many run and do not wait for others."""
        return len(self._active) - len(self._waits.parked)

    def _claim(self, tx: Transaction) -> Claim:
        if not self._claiming:
            return Claim(started=(), cancelled=(), backlog=0, next_due=None)
        places = min(self._free_places(), self._pool.room)
        return tx.claim(self._limits, places, self._pool.generation)

    def _quiet_in(self, claim: Claim) -> float | None:
        """Seconds until all that this instant has started is over, or only waits for others; None: unknown.

        Who waits may do more beside that: an `asyncio.gather` enqueues one after the other.
        """
        parked = self._waits.parked
        if claim.started or claim.backlog or self._answers or len(self._active) > len(parked):
            return None
        latest = max((self._active[sequence].active for sequence in parked), default=0.0)
        return self._known_quiet_in(latest)

    # --- after the commit -----------------------------------------------------------------

    def _tell_ended(
        self,
        now: int,
        ended: Sequence[tuple[_Attempt, JobEnd]],
        completions: Sequence[Completion],
        settled: Sequence[Change],
    ) -> None:
        rows = {change.sequence: change for change in settled}
        for (attempt, end), completion in zip(ended, completions, strict=False):
            released = end.sequence in self._releasing
            self._releasing.discard(end.sequence)
            if row := rows.get(end.sequence):
                duration = time.monotonic() - attempt.begun
                self._tell.ended(now, row, end.attempt, completion.failure, duration, released=released)

    def _abort(self, foreign: Iterable[Change]) -> None:
        for change in foreign:
            if change.state is State.ABORTING and change.sequence in self._active:
                self._pool.kill(change.sequence)

    def _send_answers(self) -> None:
        answers, self._answers = self._answers, []
        if not answers:
            return
        outcomes = self._store.outcomes({ready.execution_id for ready in answers})
        for ready in answers:
            attempt, outcome = self._active.get(ready.sequence), outcomes.get(ready.execution_id)
            if attempt and outcome:
                attempt.active = time.monotonic()
                self._pool.answer(ready.sequence, ready.request, result=wire.outcome_to_json(outcome))
            elif attempt:  # a tick that could not be written had ended it; then it came otherwise
                self._waits.add(ready.sequence, ready.request, ready.execution_id)
                self.wake()

    def _dispatch(self, now: int, claim: Claim) -> None:
        for running in claim.started:
            begun = time.monotonic()
            attempt = _Attempt(running=running, begun=begun, active=begun)
            self._active[running.sequence] = attempt
            spec = self._functions[running.function].spec
            self._pool.start(
                Job(
                    sequence=running.sequence,
                    execution_id=running.id,
                    attempt=running.attempt,
                    function=running.function,
                    module=spec.module,
                    arguments=running.arguments,
                    max_duration=math.inf if self._debug else spec.max_duration,
                    faults=running.faults,
                    debug_port=self._debug.get(running.function, 0),
                )
            )
            self._tell.started(now, running)

    def _release_parked(self) -> None:
        """While draining, put back who waits for something that will not end before the stop."""
        if self._claiming or not self._active:
            return
        running = {attempt.running.id for attempt in self._active.values()}
        for sequence in tuple(self._active):
            awaited = self._waits.awaited_by(sequence)
            if awaited and sequence not in self._releasing and running.isdisjoint(awaited):
                self._releasing.add(sequence)
                self._pool.kill(sequence)

    def _plan(self, claim: Claim, moments: Sequence[int], again_in: float | None) -> None:
        self._has_backlog = claim.backlog > 0
        waiting = min(claim.backlog, self._free_places())
        if waiting:
            self._pool.want(waiting)
        if again_in is None and moments:
            again_in = self._store.emulated_delay(min(moments))
        self._alarm.after(again_in)

    # --- what the pool tells --------------------------------------------------------------

    def on_capacity(self) -> None:
        """While more waits than can run, the ends of a millisecond share one tick; in a flood, of more."""
        if self._has_backlog and len(self._ended) >= len(self._active):
            self.wake()
        elif self._pool.is_flooded:
            self._alarm.within(FLOOD_INTERVAL)
        elif self._has_backlog and len(self._ended) < self._places_taken():
            self._alarm.within(BATCH_INTERVAL)
        else:
            self.wake()

    def on_end(self, end: JobEnd) -> None:
        self._ended.append((self._active.pop(end.sequence), end))
        self._waits.drop(end.sequence)
        self.on_capacity()

    def on_output(self, chunks: Sequence[LogChunk]) -> None:
        self._logs += chunks
        for chunk in chunks:
            attempt = self._active.get(chunk.sequence)
            if attempt is not None:
                self._tell.printed(attempt.running, chunk)
        if self._log_timer is None:
            self._log_timer = asyncio.get_running_loop().call_later(LOG_INTERVAL, self._write_logs)

    def _write_logs(self) -> None:
        self._log_timer = None
        if self._logs:
            self.wake()

    def on_request(self, sequence: int, request: int, method: str, params: dict[str, Any]) -> None:
        attempt = self._active.get(sequence)
        if attempt is None:
            return
        attempt.active = time.monotonic()
        self._serving.begin(attempt.running, request, method, params)

    def _reply(self, sequence: int, request: int, result: Any, error: Any) -> None:
        if sequence in self._active:
            self._pool.answer(sequence, request, result=result, error=error)

    async def _wait(self, backend: Backend, sequence: int, request: int, execution_id: str) -> None:
        execution = await backend.get_execution(execution_id)
        if isinstance(execution, Attempt):
            execution = await backend.get_execution(execution.id.partition(".")[0])
        if execution.state.is_final:
            outcome = self._store.outcomes([execution.id])[execution.id]
            self._pool.answer(sequence, request, result=wire.outcome_to_json(outcome))
        elif sequence in self._active:
            self._waits.add(sequence, request, execution.id)
            self.wake()  # it gave its place back

    def on_request_cancelled(self, sequence: int, request: int) -> None:
        self._waits.cancel(sequence, request)
