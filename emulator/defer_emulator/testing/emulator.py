"""`Emulator`: what the fixture `defer_emulator` and the context manager `emulator()` give to a test."""

from __future__ import annotations

import threading
import time
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar

from defer_client.durations import parse_when
from defer_client.functions import DeferredFunction
from defer_client.models import Arguments, Execution, ExecutionFilters, State
from defer_client.options import WhenOption
from defer_client.selection import use_backend
from defer_client.serialization import check_json
from defer_client.sync import run
from defer_emulator.clock import to_datetime, to_micros
from defer_emulator.domain.clock_moves import ClockAction, ClockMove
from defer_emulator.domain.jobs import Job
from defer_emulator.operations import LocalOperations
from defer_emulator.runner.inline import AttemptLost, InlineAttempt, current_attempt
from defer_emulator.store.store import Store
from defer_emulator.testing.backend import TestingBackend
from defer_emulator.testing.driving import Driver, Step, Steps, in_event_loop
from defer_emulator.testing.functions import Functions
from defer_emulator.testing.life import Life
from defer_emulator.testing.records import Record, history, record_of, records, shown_call

Left = Literal["failed", "waiting"]
"""What a test may leave behind: executions that failed, or that wait or run still."""

Function: TypeAlias = "DeferredFunction[..., Any] | str"

T = TypeVar("T")

_UNFINISHED = (State.CREATED, State.STARTED, State.ABORTING)
_MOMENT = 0.05  # seconds in which code that does not wait for the clock gets to where it waits


class Emulator:
    """An emulator inside of a test: the real scheduler and store, on a clock that stands until it is moved.

    Nothing runs by itself. `advance`, `advance_to_next` and `run_until_idle` let run what is due, and so does
    whoever waits for a result. In a coroutine, `await` them.

    >>> def test_reminder(defer_emulator):  # doctest: +SKIP
    ...     delay(remind, "1 day").enqueue("ada")
    ...     defer_emulator.advance("1 day")
    ...     defer_emulator.assert_succeeded(remind)
    """

    def __init__(
        self, functions: Functions, *, start: datetime | None = None, max_concurrency: int = 100
    ) -> None:
        self._functions = functions
        self._max_concurrency = max_concurrency
        self._store = Store.in_memory()
        weakref.finalize(self, self._store.close)  # not at the end of the test: it may be looked at
        with self._store.write() as tx:
            now = start or to_datetime(tx.real).replace(microsecond=0)
            tx.set_clock(offset=0, frozen_at=to_micros(now))
        self._driver = Driver()
        self._steps = Steps(self._driver)
        functions.register(self._store)
        self._faults: defaultdict[str, deque[BaseException | type[BaseException]]] = defaultdict(deque)
        self._lost: list[Life] = []
        self._life = self._new_life()
        self._operations = LocalOperations(self._store, wake=self._wake)
        self._backend = TestingBackend(
            self._store,
            self._driver,
            wake=self._wake,
            is_busy=lambda: bool(self._life.scheduler.busy_count),
            explain=self._explain,
        )
        self._calls = ExitStack()
        self._calls.enter_context(use_backend(self._backend))

    def _new_life(self) -> Life:
        life = Life(
            self._store,
            max_concurrency=self._max_concurrency,
            find=self._functions.find,
            before=self._raise_fault,
            adopt=self._functions.adopt,
            on_settled=self._driver.on_settled,
        )
        self._driver.live(life)
        return life

    def _wake(self) -> None:
        self._life.wake()

    # --- time -----------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """What the clock shows, in UTC."""
        return to_datetime(self._store.now())

    def advance(self, to: WhenOption) -> Step:
        """Let so much time pass, or all until a moment: everything due happens in order, each at its instant.

        Raises `InvalidDuration`; `InvalidOption` for a moment in the past.

        >>> defer_emulator.advance("1 day")  # doctest: +SKIP
        """
        return self._walk("advance", parse_when(to, "to"))

    def advance_to_next(self) -> Step:
        """Go to the next instant at which something is due, and let it happen. Nothing, if there is none."""
        return self._walk("next", None)

    def run_until_idle(self) -> Step:
        """Let run what is due now, until all that is left waits for its time."""
        return self._step(lambda: not self._life.scheduler.busy_count)

    def run_until(self, condition: Callable[[], object]) -> Step:
        """The same until `condition()` is true, which is asked whenever nothing is left to do but to wait.

        For what goes on beside a function that waits for something real. Raises `AssertionError` when
        nothing runs that could make it true.
        """

        def is_reached() -> bool:
            if condition():
                return True
            if self._life.scheduler.busy_count:
                return False
            raise AssertionError(f"nothing is left that could make the condition true\n{self.history()}")

        return self._step(is_reached)

    def _walk(self, action: ClockAction, to: timedelta | datetime | None) -> Step:
        target = to if to is None or isinstance(to, datetime) else self.now + to
        move: ClockMove | None = None

        def is_reached() -> bool:
            nonlocal move
            if move is None:
                move = _now(self._operations.ask_clock(action, target))
                return False
            move = self._store.clock_move(move.id)
            if move.state == "interrupted":  # by a crash: the test wants to get there all the same
                move = _now(self._operations.ask_clock("advance", to_datetime(move.target or move.start)))
                return False
            return move.is_over and not self._life.scheduler.busy_count

        return self._step(is_reached)

    def _step(self, is_reached: Callable[[], bool]) -> Step:
        attempt = current_attempt()
        if attempt is not None:
            raise RuntimeError(
                f"{attempt.job.function} runs in the emulator and cannot move it: move it in the test"
            )
        return self._steps.begin(is_reached)

    # --- what goes wrong ------------------------------------------------------------------

    def fail_next(self, function: Function, error: BaseException | type[BaseException]) -> None:
        """The next attempt of `function` raises `error` instead of running; called twice, the next two.

        >>> defer_emulator.fail_next(send_mail, ConnectionError("refused"))  # doctest: +SKIP
        """
        if not isinstance(error, BaseException) and not (
            isinstance(error, type) and issubclass(error, BaseException)
        ):
            raise TypeError(f"fail_next needs an exception or its class, not {error!r}")
        self._faults[self._name_of(function)].append(error)

    def _raise_fault(self, job: Job) -> None:
        faults = self._faults.get(job.function)
        if faults:
            raise faults.popleft()

    def interrupt(self) -> Step:
        """Crash, as by `kill -9`, and start anew: what runs ends as interrupted.

        What is due starts first, and gets to where it waits for something. Called by a function that runs
        here, it is the very moment of the crash, and does not return to it. Code that was running does not go
        on; its `finally` blocks run when the test is over.
        """
        attempt = current_attempt()
        if attempt is not None:
            self._crash_in(attempt)
        begun: float | None = None

        def is_reached() -> bool:
            nonlocal begun
            begun = begun or time.monotonic()
            if self._life.scheduler.busy_count and time.monotonic() < begun + _MOMENT:
                return False
            self._crash()
            return True

        return self._steps.begin(is_reached)

    def _crash_in(self, attempt: InlineAttempt) -> NoReturn:
        life, crashed = self._life, threading.Event()

        def crash() -> None:
            self._crash()
            crashed.set()

        if threading.get_ident() == life.thread:
            crash()
        elif attempt.loop is life.loop:  # it runs in a thread
            life.loop.call_soon_threadsafe(crash)
            crashed.wait()
        raise AttemptLost

    def _crash(self) -> None:
        self._life.lose()
        self._lost.append(self._life)
        self._life = self._new_life()

    # --- functions ------------------------------------------------------------------------

    def pause(self, function: Function | None = None) -> None:
        """Start no executions of `function`, or of any; its cron skips its minutes.

        Raises `UnknownFunction`.
        """
        self._functions.register(self._store)
        _now(self._operations.pause(None if function is None else self._name_of(function)))

    def resume(self, function: Function | None = None) -> None:
        """The reverse of `pause`."""
        self._functions.register(self._store)
        _now(self._operations.resume(None if function is None else self._name_of(function)))

    def _name_of(self, function: Function) -> str:
        """Raises `UnknownFunction` for a misspelt name, of which one could assert anything."""
        if isinstance(function, DeferredFunction):
            return function.name
        if not isinstance(function, str):
            raise TypeError(f"a deferred function or its name is needed, not {function!r}")
        self._functions.register(self._store)
        return _now(self._operations.find_function(function)).spec.name

    # --- what has happened ----------------------------------------------------------------

    def executions(
        self, function: Function | None = None, state: State | str | Collection[State | str] = ()
    ) -> list[Record]:
        """All, or those of a function and in one of these states, in the order in which they were created.

        Raises `InvalidRequest` for an unknown state, `UnknownFunction` for an unknown name.
        """
        self._steps.finish()
        filters = ExecutionFilters(states=(state,) if isinstance(state, str) else tuple(state))  # type: ignore[arg-type]
        return records(self._store, filters, None if function is None else [self._name_of(function)])

    def last(self, function: Function | None = None) -> Record:
        """The newest execution, of `function` if it is given. Raises `AssertionError` when there is none."""
        found = self.executions(function)
        if not found:
            what = "nothing" if function is None else f"no {self._name_of(function)}"
            raise self._error(what, "was enqueued")
        return found[-1]

    def assert_enqueued(self, function: Function, *args: Any, **kwargs: Any) -> Record:
        """`function` was called, with these arguments if any are given; the newest such execution."""
        found = self._calls_of(function, args, kwargs)
        if not found:
            call = Arguments(positional=args, keyword=kwargs)
            raise self._error(shown_call(self._name_of(function), call), "was not enqueued")
        return found[-1]

    def assert_not_enqueued(self, function: Function, *args: Any, **kwargs: Any) -> None:
        """`function` was not called, or not with these arguments."""
        found = self._calls_of(function, args, kwargs)
        if found:
            raise self._error(found[-1].call, "was enqueued")

    def _calls_of(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Record]:
        """Its executions with these arguments, by position or by name; with none at all, every one."""
        found = self.executions(function)
        if not args and not kwargs:
            return found
        wanted = Arguments(positional=check_json(args, "args"), keyword=check_json(kwargs, "kwargs"))
        known = self._functions.named(self._name_of(function)) if isinstance(function, str) else function
        if known is None:
            return [one for one in found if one.arguments == wanted]
        return [one for one in found if _bound(known, one.arguments) == _bound(known, wanted)]

    def assert_succeeded(self, function: Function) -> Record:
        """`function` was called, and all of its executions have succeeded; the newest one."""
        return self._assert_all(function, State.SUCCEED)

    def assert_failed(self, function: Function) -> Record:
        """`function` was called, and all of its executions have failed; the newest one."""
        return self._assert_all(function, State.FAILED)

    def _assert_all(self, function: Function, state: State) -> Record:
        latest = self.last(function)
        other = next((one for one in self.executions(function) if one.state is not state), None)
        if other is not None:
            raise self._error(
                repr(other), f"should have {'failed' if state is State.FAILED else 'succeeded'}"
            )
        return latest

    def history(self) -> str:
        """All that has happened, in words."""
        return history(self.executions(), self.now)

    def _error(self, what: str, said: str) -> AssertionError:
        return AssertionError(f"{what} {said}\n{self.history()}")

    def _explain(self, execution: Execution) -> str:
        record = record_of(self._store, execution)
        reason = _now(self._operations.why(execution.id)).main.message
        return (
            f"{record.call} is awaited, but does not end by itself: {reason}\n"
            f"Move the clock first, with advance(...) or advance_to_next().\n"
            f"{history(records(self._store, ExecutionFilters(), None), self.now)}"
        )

    # --- the end --------------------------------------------------------------------------

    def check(self, allow: Collection[Left] = ()) -> None:
        """Raises `AssertionError` when executions have failed or have not ended, unless that is allowed."""
        failed = () if "failed" in allow else self.executions(state=State.FAILED)
        waiting = () if "waiting" in allow else self.executions(state=_UNFINISHED)
        left = [*(("failed", one) for one in failed), *(("waiting", one) for one in waiting)]
        if left:
            kinds = list(dict.fromkeys(kind for kind, _ in left))
            counts = " and ".join(
                f"{len(found)} {kind}" for kind, found in (("failed", failed), ("waiting", waiting)) if found
            )
            allowed = f'"{kinds[0]}"' if len(kinds) == 1 else repr(kinds).replace("'", '"')
            raise AssertionError(
                f"the test leaves executions behind: {counts}\n"
                f"If that is as it should be, say so: @pytest.mark.defer(allow={allowed}),"
                f" without the fixture emulator(allow={allowed}).\n"
                f"{self.history()}"
            )

    def close(self) -> None:
        """End all that still runs. Calls do not come here any more."""
        self._calls.close()
        self._driver.close()
        for life in (*self._lost, self._life):
            if in_event_loop():
                with ThreadPoolExecutor(max_workers=1) as pool:
                    pool.submit(life.close).result()
            else:
                life.close()


def _now(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that does not suspend."""
    return run(coroutine, immediate=True)


def _bound(function: DeferredFunction[..., Any], arguments: Arguments) -> dict[str, Any]:
    bound = function.signature.bind(*arguments.positional, **arguments.keyword)
    bound.apply_defaults()
    return bound.arguments
