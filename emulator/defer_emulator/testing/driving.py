"""Who runs the emulator of a test, and how long: nothing moves but while somebody wants something of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from defer_emulator.runner.inline_output import copied_output
from defer_emulator.testing.life import Life

_PATIENCE = 5.0  # seconds to wait at the end for a function that does not yield


@dataclass(eq=False, kw_only=True, slots=True)
class Goal:
    """What somebody wants. `is_reached` is asked whenever all has settled; what it raises is the answer."""

    is_reached: Callable[[], bool]
    is_wait: bool  # for one execution, and whatever time it takes: it moves nothing itself
    in_background: bool
    future: concurrent.futures.Future[None] = field(default_factory=concurrent.futures.Future)

    def look(self) -> None:
        """Decide whether it is reached."""
        error: Exception | None = None
        try:
            is_reached = self.is_reached()
        except Exception as raised:
            is_reached, error = True, raised
        if is_reached and self.future.set_running_or_notify_cancel():
            if error is None:
                self.future.set_result(None)
            else:
                self.future.set_exception(error)


class Driver:
    """Runs a life until goals are reached: in the thread that has one, if it may be blocked, else in its own.

    One thread at a time; whoever else has a goal waits for it, and takes over where it must.
    """

    def __init__(self) -> None:
        self._life: Life | None = None
        self._goals: list[Goal] = []
        self._changed = threading.Condition()
        self._is_driving = False
        self._is_closed = False
        self._thread: threading.Thread | None = None

    @property
    def only_waits(self) -> bool:
        """Whether nobody is about to do anything but wait."""
        return all(goal.is_wait for goal in self._goals)

    def live(self, life: Life) -> None:
        """Drive this one from now on."""
        self._life = life

    def reach(self, is_reached: Callable[[], bool], *, is_wait: bool = False) -> None:
        """Block until then. Raises what `is_reached` raises."""
        goal = self._add(is_reached, is_wait=is_wait, in_background=in_event_loop())
        try:
            if not goal.in_background:
                self._drive(goal.future.done)
            goal.future.result()
        finally:
            goal.future.cancel()

    async def reached(self, is_reached: Callable[[], bool], *, is_wait: bool = False) -> None:
        """The same without blocking the event loop."""
        goal = self._add(is_reached, is_wait=is_wait, in_background=True)
        await asyncio.wrap_future(goal.future)

    def on_settled(self) -> None:
        """From the life."""
        for goal in tuple(self._goals):
            goal.look()
        with self._changed:
            self._goals = [goal for goal in self._goals if not goal.future.done()]
            self._changed.notify_all()

    def close(self) -> None:
        """Everybody who still wants something is told that it will not be."""
        with self._changed:
            self._is_closed = True
            for goal in self._goals:
                goal.future.cancel()
            self._changed.notify_all()
        self._nudge()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _add(self, is_reached: Callable[[], bool], *, is_wait: bool, in_background: bool) -> Goal:
        goal = Goal(is_reached=is_reached, is_wait=is_wait, in_background=in_background)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("this emulator is over: its test has ended")
            self._goals.append(goal)
            if in_background and self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="defer-emulator", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        self._nudge()
        return goal

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or not self._is_background_idle())
                if self._is_closed:
                    return
            self._drive(lambda: self._is_closed or self._is_background_idle())

    def _is_background_idle(self) -> bool:
        return all(goal.future.done() for goal in self._goals if goal.in_background)

    def _drive(self, is_done: Callable[[], bool]) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: is_done() or not self._is_driving)
                if is_done():
                    return
                self._is_driving = True
            try:
                assert self._life is not None
                with copied_output():
                    self._life.run(is_done)
            finally:
                with self._changed:
                    self._is_driving = False
                    self._changed.notify_all()

    def _nudge(self) -> None:
        if self._life is not None:
            self._life.wake()


class Step:
    """What moving the emulator returns.

    Without an event loop it has been done already. With one, `await` it, so that the loop goes on meanwhile;
    one that is thrown away instead is done on the spot, and the loop stands still.
    """

    def __init__(self, steps: Steps, is_reached: Callable[[], bool]) -> None:
        self._steps = steps
        self._is_reached = is_reached
        self._has_begun = False

    def finish(self) -> None:
        """Do it, blocking, unless it has been done."""
        if not self._has_begun:
            self._has_begun = True
            self._steps.driver.reach(self._is_reached)

    def __await__(self) -> Generator[Any, None, None]:
        if not self._has_begun:
            self._has_begun = True
            yield from self._steps.driver.reached(self._is_reached).__await__()

    def __del__(self) -> None:
        try:
            self.finish()
        except Exception as error:  # nobody could catch it here
            self._steps.failed = error


class Steps:
    """Makes steps, and sees to it that the one before is over first."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.failed: Exception | None = None  # what one that was thrown away has raised
        self._latest: weakref.ref[Step] | None = None

    def begin(self, is_reached: Callable[[], bool]) -> Step:
        self.finish()
        step = Step(self, is_reached)
        self._latest = weakref.ref(step)
        if not in_event_loop():
            step.finish()
        return step

    def finish(self) -> None:
        """Do what nobody has awaited. Raises what it, or one before, has raised."""
        step = None if self._latest is None else self._latest()
        if step is not None:
            step.finish()
        error, self.failed = self.failed, None
        if error is not None:
            raise error


def in_event_loop() -> bool:
    """Whether blocking this thread would stop one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
